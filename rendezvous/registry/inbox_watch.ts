/**
 * Who wants to know that something waits for a node: a beacon in this process, which makes the node poll.
 *
 * @module
 */

/** Notified of what waits for nodes. Its methods never throw and never wait. */
export interface InboxWatch {
  /** Something begins to wait for a node: a handshake request, an answer or an invitation. */
  waiting(node: number): void;
  /** A node has polled. */
  fetched(node: number): void;
}

/** Nobody watches: nodes learn by polling. */
export const NO_WATCH: InboxWatch = { waiting() {}, fetched() {} };
