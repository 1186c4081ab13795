/**
 * What the connections of one driver may have unanswered, divided equally among those that send: so that their number
 * does not take all memory of the daemon, nor of this process.
 *
 * @module
 */

import { IPC_SEND_WINDOW_BYTES } from "../protocol/ipc/mod.ts";

/**
 * Bytes that all connections of a driver together may have unanswered: eight whole windows, so that few connections
 * get all they want, and the daemon is never without something to send for each of a hundred.
 */
export const MAX_UNANSWERED_BYTES = 8 * IPC_SEND_WINDOW_BYTES;
/**
 * Bytes that each connection may have unanswered however many there are. With the budget it makes 40 MiB for all 4096
 * connections that a client may have, which the daemon takes without stopping to read.
 */
export const LEAST_SEND_WINDOW_BYTES = 8 * 1024;

/** Counts what is unanswered. */
export class SendBudget {
  #used = 0;
  #busy = 0;

  /** Bytes unanswered. */
  get used(): number {
    return this.#used;
  }

  /**
   * The window of a connection.
   *
   * @param held Bytes it has unanswered.
   * @returns Bytes it may have unanswered now. What others have made smaller becomes larger with their answers: its
   * owner looks again at its own next one.
   */
  window(held: number): number {
    const equal = MAX_UNANSWERED_BYTES / Math.max(1, held > 0 ? this.#busy : this.#busy + 1);
    const room = held + MAX_UNANSWERED_BYTES - this.#used;
    const window = Math.floor(Math.min(IPC_SEND_WINDOW_BYTES, equal, room));
    return Math.max(LEAST_SEND_WINDOW_BYTES, window);
  }

  /**
   * A connection has sent.
   *
   * @param bytes How much.
   * @param held What it had unanswered before, bytes.
   */
  sent(bytes: number, held: number): void {
    this.#used += bytes;
    if (held === 0 && bytes > 0) this.#busy++;
  }

  /**
   * The daemon has answered.
   *
   * @param bytes For how much.
   * @param held What the connection still has unanswered, bytes.
   */
  answered(bytes: number, held: number): void {
    this.#used -= bytes;
    if (held === 0 && bytes > 0) this.#busy--;
  }
}
