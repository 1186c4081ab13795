/**
 * Optional abilities of our daemon, as HelloOk and `info` name them.
 *
 * @module
 */

/** A connection can be closed for writing alone; the daemon reports the peer's only to those that say it in Hello. */
export const HALF_CLOSE: string = "half_close";

/** The daemon resets a connection at a client's word. */
export const ABORT: string = "abort";

/** The daemon reports its lifecycle events to a client. */
export const EVENTS: string = "events";

/** What HelloOk says that our daemon can do. */
export const IPC_FEATURES: readonly string[] = [
  "tags",
  "recv_credit",
  "close_reason",
  "ping",
  "lookup",
  "handshake_target",
  "path",
  HALF_CLOSE,
  EVENTS,
  ABORT,
];

/** What `info` says besides, by the names of existing daemons. */
export const INFO_FEATURES: readonly string[] = ["tagged_requests", "recv_credit", "dgram_bound"];
