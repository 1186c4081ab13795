/**
 * A beacon in memory: discovery, punching, relay.
 *
 * @module
 */

import { decodeBeacon, encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import { type Endpoint, parseIp } from "../../../protocol/ip.ts";
import type { VirtualNetwork, VirtualSocket } from "./udp.ts";

/** Serves one endpoint. */
export class TestBeacon {
  readonly socket: VirtualSocket;
  /** Where nodes were seen last. */
  readonly nodes = new Map<number, Endpoint>();
  /** Relays frames. */
  isRelaying = true;
  /** Sends punch commands. */
  isPunching = true;
  /** Frames relayed. */
  relayed = 0;

  constructor(net: VirtualNetwork, endpoint: Endpoint) {
    this.socket = net.bind(endpoint.host, endpoint.port);
    this.socket.start((data, from) => this.#onDatagram(data, from));
  }

  /** Sends raw bytes from the beacon's endpoint. */
  send(data: Uint8Array, to: Endpoint): void {
    const buffer = this.socket.acquire();
    buffer.set(data);
    this.socket.send(buffer, data.length, to);
  }

  #onDatagram(data: Uint8Array, from: Endpoint): void {
    const message = decodeBeacon(data);
    if (message instanceof DecodeError) return;
    switch (message.type) {
      case "discover": {
        this.nodes.set(message.node, from);
        const { port } = from;
        this.send(encodeBeacon({ type: "discover_reply", ip: parseIp(from.host), port }), from);
        break;
      }
      case "punch_request": {
        const target = this.nodes.get(message.target);
        if (target === undefined || !this.isPunching) break;
        this.#punch(from, target);
        this.#punch(target, from);
        break;
      }
      case "relay": {
        const target = this.nodes.get(message.dest);
        if (target === undefined || !this.isRelaying) break;
        this.relayed++;
        const { sender, frame } = message;
        this.send(encodeBeacon({ type: "relay_deliver", sender, frame }), target);
        break;
      }
      default: // Not for a beacon.
    }
  }

  #punch(to: Endpoint, { host, port }: Endpoint): void {
    this.send(encodeBeacon({ type: "punch_command", ip: parseIp(host), port }), to);
  }
}
