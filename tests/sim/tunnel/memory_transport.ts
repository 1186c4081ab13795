/**
 * Frames in memory: what two tunnels send each other goes through a simulated link.
 *
 * @module
 */

import type { Route } from "../../../protocol/path/mod.ts";
import type { Transport } from "../../../protocol/tunnel/frame_transport.ts";

/** Takes a frame, which is the caller's from then on. */
export type FrameSink = (frame: Uint8Array, route: Route, node: number) => void;

/** A transport whose frames go to a function. */
export class MemoryTransport implements Transport {
  readonly kind = "memory";
  readonly maxBytes = 65_536;
  readonly isReliable = false;
  readonly forbidsFragments = true;
  readonly headerBytes = 0;
  readonly isUp: boolean;
  readonly #sink: FrameSink;

  constructor(sink: FrameSink, isUp = true) {
    this.#sink = sink;
    this.isUp = isUp;
  }

  /** Exactly what was asked for, so that writing beyond it fails. */
  acquire(bytes: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(bytes);
  }

  send(
    buffer: Uint8Array<ArrayBuffer>,
    bytes: number,
    route: Route,
    _self: number,
    node: number,
  ): void {
    this.#sink(buffer.slice(0, bytes), route, node);
    // Whoever still writes to it must not reach the network.
    buffer.fill(0xaa);
  }
}
