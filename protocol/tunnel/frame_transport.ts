/**
 * What carries frames: the seam between the tunnel and sockets. A path's route names the transport; that sends.
 *
 * @module
 */

import { encodeRelayInto, RELAY_HEADER_BYTES } from "../beacon/beacon_message.ts";
import type { Endpoint } from "../ip.ts";
import type { Route } from "../path/mod.ts";

/** How frames travel. */
export type TransportKind = "udp" | "relay" | "memory";

/** Sends frames. Never blocks and never throws: a frame may be lost anyway. */
export interface Transport {
  /** How frames travel. */
  readonly kind: TransportKind;
  /** Largest datagram that it takes, bytes. */
  readonly maxBytes: number;
  /** What is sent arrives, once and in order. */
  readonly isReliable: boolean;
  /** Frames arrive whole or not at all, unless {@linkcode Transport.send} permits otherwise. */
  readonly forbidsFragments: boolean;
  /** Frames can be sent now. */
  readonly isUp: boolean;
  /** Bytes of its own in front of a frame. */
  readonly headerBytes: number;
  /**
   * A buffer to build a frame in; must be given to {@linkcode Transport.send}.
   *
   * @param bytes Room needed, {@linkcode Transport.headerBytes} included.
   */
  acquire(bytes: number): Uint8Array<ArrayBuffer>;
  /**
   * Sends a frame and takes the buffer back.
   *
   * @param buffer The frame lies at {@linkcode Transport.headerBytes}.
   * @param bytes Bytes of headers and frame.
   * @param route Where it goes.
   * @param self Our node number.
   * @param node The node that it is for.
   * @param mayFragment The network may cut it into fragments.
   */
  send(
    buffer: Uint8Array<ArrayBuffer>,
    bytes: number,
    route: Route,
    self: number,
    node: number,
    mayFragment: boolean,
  ): void;
}

/** The transport of each kind of route. */
export type Transports = Readonly<Record<Route["via"], Transport>>;

/** Wraps frames for the beacon, which relays them, and sends them by another transport (docs/protocol/beacon.md §1). */
export class RelayTransport implements Transport {
  readonly kind = "relay";
  readonly headerBytes: number = RELAY_HEADER_BYTES;
  readonly #carrier: Transport;
  readonly #beacon: () => Endpoint | undefined;
  /** The route to the beacon, made once. */
  #route: Route & { readonly via: "direct" } | undefined;

  /**
   * The relay of a beacon.
   *
   * @param carrier What reaches the beacon.
   * @param beacon Where it is; undefined while that is not known.
   */
  constructor(carrier: Transport, beacon: () => Endpoint | undefined) {
    this.#carrier = carrier;
    this.#beacon = beacon;
  }

  get maxBytes(): number {
    return this.#carrier.maxBytes - this.headerBytes;
  }

  /** Whatever carries them to the beacon: it forwards them as datagrams. */
  get isReliable(): boolean {
    return false;
  }

  get forbidsFragments(): boolean {
    return this.#carrier.forbidsFragments;
  }

  get isUp(): boolean {
    return this.#beacon() !== undefined;
  }

  acquire(bytes: number): Uint8Array<ArrayBuffer> {
    return this.#carrier.acquire(bytes);
  }

  send(
    buffer: Uint8Array<ArrayBuffer>,
    bytes: number,
    _route: Route,
    self: number,
    node: number,
    mayFragment: boolean,
  ): void {
    const endpoint = this.#beacon();
    if (endpoint === undefined) return;
    if (this.#route?.endpoint !== endpoint) this.#route = { via: "direct", endpoint };
    encodeRelayInto(buffer, 0, self, node);
    this.#carrier.send(buffer, bytes, this.#route, self, node, mayFragment);
  }
}
