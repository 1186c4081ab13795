/**
 * Frames waiting for the daemon's socket. Small frames that pile up behind a write leave together.
 *
 * @module
 */

import type { Transport } from "./transport.ts";

/** Frames below this size are joined; copying them costs less than a system call each. */
const JOIN_BELOW_BYTES = 16 * 1024;
/** Most bytes joined into one write. */
const JOIN_LIMIT_BYTES = 64 * 1024;

interface Waiter {
  upTo: number;
  resolve(): void;
}

/** Writes frames in order, one write at a time. What is queued is bounded by the windows of those who push. */
export class Outbox {
  readonly #transport: Transport;
  readonly #onError: (error: unknown) => void;
  readonly #waiters: Waiter[] = [];
  #frames: Uint8Array[] = [];
  #joined: Uint8Array | undefined;
  #pushed = 0;
  #written = 0;
  #running = false;
  #stopped = false;

  /**
   * @param transport Where to write.
   * @param onError Called once when a write failed; everything queued is dropped.
   */
  constructor(transport: Transport, onError: (error: unknown) => void) {
    this.#transport = transport;
    this.#onError = onError;
  }

  /**
   * Queues a frame.
   *
   * @param frame The whole frame; not changed by the caller afterwards.
   */
  push(frame: Uint8Array): void {
    if (this.#stopped) return;
    this.#frames.push(frame);
    this.#pushed++;
    if (!this.#running) {
      this.#running = true;
      // A microtask later, so that frames made in one turn leave in one write.
      queueMicrotask(() => this.#run());
    }
  }

  /**
   * Resolves when all frames pushed so far have been written, or dropped because the socket broke.
   *
   * @returns When that is so.
   */
  flushed(): Promise<void> {
    if (this.#stopped || this.#written === this.#pushed) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiters.push({ upTo: this.#pushed, resolve });
    });
  }

  /** Drops what is queued and takes nothing any more. */
  stop(): void {
    this.#stopped = true;
    this.#frames = [];
    this.#written = this.#pushed;
    this.#wake();
  }

  async #run(): Promise<void> {
    try {
      while (this.#frames.length > 0 && !this.#stopped) {
        const frames = this.#frames;
        this.#frames = [];
        for (let i = 0; i < frames.length && !this.#stopped;) {
          const end = joinEnd(frames, i);
          // One buffer is enough, as writes do not overlap.
          await this.#transport.write(
            end === i + 1
              ? frames[i]!
              : join(frames, i, end, this.#joined ??= new Uint8Array(JOIN_LIMIT_BYTES)),
          );
          if (!this.#stopped) this.#written += end - i;
          this.#wake();
          i = end;
        }
      }
    } catch (error) {
      if (!this.#stopped) {
        this.stop();
        this.#onError(error);
      }
    } finally {
      this.#running = false;
    }
  }

  #wake(): void {
    while ((this.#waiters[0]?.upTo ?? Infinity) <= this.#written) {
      this.#waiters.shift()!.resolve();
    }
  }
}

function joinEnd(frames: readonly Uint8Array[], start: number): number {
  let end = start;
  let bytes = 0;
  while (end < frames.length && frames[end]!.length < JOIN_BELOW_BYTES) {
    if (bytes + frames[end]!.length > JOIN_LIMIT_BYTES) break;
    bytes += frames[end++]!.length;
  }
  return Math.max(end, start + 1);
}

function join(
  frames: readonly Uint8Array[],
  start: number,
  end: number,
  out: Uint8Array,
): Uint8Array {
  let offset = 0;
  for (let i = start; i < end; i++) {
    out.set(frames[i]!, offset);
    offset += frames[i]!.length;
  }
  return out.subarray(0, offset);
}
