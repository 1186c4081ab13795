/**
 * Datagrams (protocol 2, docs/protocol/streams.md §9): unreliable messages between ports.
 *
 * @module
 */

import { type Address, BROADCAST_NODE, formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { MAX_PAYLOAD_BYTES, type Packet, PROTO_DATAGRAM } from "../../protocol/packet.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../protocol/well_known_ports.ts";
import type { Datagram } from "./stream_conn.ts";
import type { Gate } from "./gate.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";

/**
 * Largest datagram payload: with header, seal and relay prefix it must fit one UDP datagram, since nothing
 * fragments it.
 */
export const MAX_DATAGRAM_BYTES = MAX_PAYLOAD_BYTES - 34 - 36 - 9 - 28;

/** What datagrams need from the daemon. */
export interface DatagramDeps {
  readonly self: () => number;
  readonly gate: Gate;
  readonly ensure: (node: number) => Promise<void>;
  /** `ensure` has nothing to do. */
  readonly isReady: (node: number) => boolean;
  readonly send: (packet: Packet) => void;
  readonly emit: Emit;
}

/** Datagrams of one daemon. */
export class Datagrams {
  readonly #deps: DatagramDeps;
  #handler: ((datagram: Datagram) => void) | undefined;
  #nextPort = EPHEMERAL_FIRST;

  constructor(deps: DatagramDeps) {
    this.#deps = deps;
  }

  /** Sets who gets incoming datagrams; their data is a view that lives as long as the call. */
  onDatagram(handler: (datagram: Datagram) => void): void {
    this.#handler = handler;
  }

  /**
   * Sends one datagram from a fresh ephemeral port.
   *
   * @throws {PilotError} `invalid_argument` for an empty or too long payload or a broadcast; as `ensure`.
   */
  async send(address: Address, port: number, data: Uint8Array): Promise<void> {
    check(address, data);
    if (address.node !== this.#deps.self()) await this.#deps.ensure(address.node);
    this.#post(address, port, data);
  }

  /**
   * Sends one datagram if that can be done at once, which spares a copy and a promise.
   *
   * @param data Only looked at during the call.
   * @returns False when there is no tunnel to the peer yet, or it is this node: `send` will do.
   * @throws {PilotError} `invalid_argument` like `send`.
   */
  trySend(address: Address, port: number, data: Uint8Array): boolean {
    check(address, data);
    // What a node sends to itself waits for its turn.
    if (address.node === this.#deps.self() || !this.#deps.isReady(address.node)) return false;
    this.#post(address, port, data);
    return true;
  }

  #post(address: Address, port: number, data: Uint8Array): void {
    this.#deps.gate.noteQuestion(address.node);
    const srcPort = this.#nextPort;
    this.#nextPort = srcPort >= EPHEMERAL_LAST ? EPHEMERAL_FIRST : srcPort + 1;
    this.#deps.send({
      flags: 0,
      protocol: PROTO_DATAGRAM,
      srcNetwork: address.network,
      srcNode: this.#deps.self(),
      dstNetwork: address.network,
      dstNode: address.node,
      srcPort,
      dstPort: port,
      seq: 0,
      ack: 0,
      window: 0,
      payload: data,
    });
  }

  /** Handles a datagram packet from an authenticated peer. */
  onPacket(packet: Packet): void {
    if (packet.payload.length === 0) return;
    const source = { network: packet.srcNetwork, node: packet.srcNode };
    const { gate, emit, self } = this.#deps;
    const isAdmitted = source.node === self() || gate.admits(packet);
    if (isAdmitted === undefined) {
      const kept = { ...packet, payload: packet.payload.slice() };
      gate.hold(source.node, () => this.onPacket(kept));
      return;
    }
    if (!isAdmitted) {
      emit("datagram.rejected", {
        src_node_id: source.node,
        src_addr: formatAddress(source),
        dst_port: packet.dstPort,
      });
      return;
    }
    this.#handler?.({
      source,
      sourcePort: packet.srcPort,
      port: packet.dstPort,
      data: packet.payload,
    });
  }
}

function check(address: Address, data: Uint8Array): void {
  if (data.length === 0 || data.length > MAX_DATAGRAM_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `A datagram carries 1 to ${MAX_DATAGRAM_BYTES} bytes, not ${data.length}`,
      { hint: "Use a stream for more." },
    );
  }
  if (address.node === BROADCAST_NODE) {
    throw new PilotError(
      "invalid_argument",
      address.network === 0
        ? "broadcast on backbone network is not permitted"
        : "broadcast is not available",
    );
  }
}
