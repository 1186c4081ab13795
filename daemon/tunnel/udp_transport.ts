/**
 * Frames over the daemon's UDP socket, straight to an endpoint.
 *
 * @module
 */

import type { Route } from "../../protocol/path/mod.ts";
import type { Transport } from "../../protocol/tunnel/frame_transport.ts";
import { SEND_BUFFER_BYTES, type UdpSocket } from "../../platform/net/udp.ts";

/** A UDP socket as a transport. */
export class UdpTransport implements Transport {
  readonly kind = "udp";
  readonly maxBytes = SEND_BUFFER_BYTES;
  readonly isReliable = false;
  readonly isUp = true;
  readonly headerBytes = 0;
  readonly #socket: UdpSocket;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  get forbidsFragments(): boolean {
    return this.#socket.forbidsFragments;
  }

  acquire(bytes: number): Uint8Array<ArrayBuffer> {
    return this.#socket.acquire(bytes);
  }

  send(
    buffer: Uint8Array<ArrayBuffer>,
    bytes: number,
    route: Route,
    _self: number,
    _node: number,
    mayFragment: boolean,
  ): void {
    if (route.via === "direct") this.#socket.send(buffer, bytes, route.endpoint, mayFragment);
  }
}
