/**
 * What a stream reports to its owner, each kind pending at most once.
 *
 * @module
 */

/**
 * What happened. `established`: the handshake is done. `readable`: bytes arrived since the last such event.
 * `writable`: a `write` that came short can continue, or
 * everything was delivered after a close. `end`: the peer closed and everything it sent has been read.
 * `closed`: the stream has ended (TIME_WAIT or CLOSED); its `error` says whether badly.
 */
export type StreamEvent =
  | "established"
  | "readable"
  | "writable"
  | "end"
  | "closed";

/** In the order they are reported. */
const KINDS: readonly StreamEvent[] = [
  "established",
  "readable",
  "writable",
  "end",
  "closed",
];

/** Pending events; cannot grow. */
export class EventSet {
  #bits = 0;

  /** @param event What happened. */
  add(event: StreamEvent): void {
    this.#bits |= 1 << KINDS.indexOf(event);
  }

  /** @returns The next event, which is then no longer pending. */
  poll(): StreamEvent | undefined {
    if (this.#bits === 0) return undefined;
    const index = 31 - Math.clz32(this.#bits & -this.#bits);
    this.#bits &= ~(1 << index);
    return KINDS[index];
  }
}
