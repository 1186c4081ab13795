/**
 * What all clients have sent and streams do not take yet, with a total: each client may hold a share of what is left,
 * so that those who come later still find some.
 *
 * @module
 */

import { IPC_SEND_WINDOW_BYTES } from "../../protocol/ipc/mod.ts";
import { StreamMemory } from "../../protocol/stream/mod.ts";
import { MAX_SEND_QUEUED_BYTES } from "./ipc_limits.ts";

/** Counts the bytes queued for all clients. */
export class SendQueues {
  readonly #memory: StreamMemory;
  readonly #waiting = new Set<() => void>();

  /**
   * Makes a count of nothing.
   *
   * @param limit Bytes in all.
   */
  constructor(limit: number = MAX_SEND_QUEUED_BYTES) {
    this.#memory = new StreamMemory(limit);
  }

  /** Bytes queued. */
  get bytes(): number {
    return this.#memory.used;
  }

  /**
   * Whether a client must not be read from.
   *
   * @param held Bytes it has queued. One window is always allowed.
   */
  isOver(held: number): boolean {
    return held > Math.max(IPC_SEND_WINDOW_BYTES, this.#memory.share);
  }

  /** A queue has grown or shrunk by this many bytes. */
  changed(bytes: number): void {
    this.#memory.take(bytes);
    if (bytes < 0) { for (const wake of this.#waiting) wake(); }
  }

  /** Calls back, until {@linkcode SendQueues.leave}, when there may be room. */
  await(wake: () => void): void {
    this.#waiting.add(wake);
  }

  /** No longer waits. */
  leave(wake: () => void): void {
    this.#waiting.delete(wake);
  }
}
