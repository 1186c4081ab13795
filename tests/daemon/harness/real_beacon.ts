/**
 * The beacon of this project on a virtual network.
 *
 * @module
 */

import { verifySignature } from "../../../protocol/crypto/mod.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Beacon, type Outgoing } from "../../../rendezvous/beacon/beacon.ts";
import type { VirtualSocket } from "./udp.ts";
import type { World } from "./world.ts";

/** The beacon on a virtual socket. */
export class RealBeacon {
  readonly #world: World;
  readonly #socket: VirtualSocket;
  /** Its rules and state. */
  beacon: Beacon;

  /**
   * @param world Its network, clock and directory.
   * @param at Where it listens.
   */
  constructor(world: World, at: Endpoint) {
    this.#world = world;
    this.beacon = this.#fresh();
    this.#socket = world.net.bind(at.host, at.port);
    this.#socket.start((data, from) => {
      this.send(this.beacon.receive(data, from, world.clock.now()));
      for (const proof of this.beacon.takeProofs()) {
        const { beacon } = this;
        void verifySignature(proof.publicKey, proof.message, proof.signature).then((isValid) =>
          this.send(beacon.onVerified(proof, isValid, world.clock.now()))
        );
      }
    });
  }

  /** Forgets everything, as a restarted process. */
  restart(): void {
    this.beacon = this.#fresh();
  }

  #fresh(): Beacon {
    return new Beacon({ keyOf: (node) => this.#world.directory.keys.get(node) });
  }

  /** Sends what the rules say. */
  send(outgoing: readonly Outgoing[]): void {
    for (const { bytes, to } of outgoing) this.sendBytes(bytes, to);
  }

  /** Sends raw bytes. */
  sendBytes(bytes: Uint8Array, to: Endpoint): void {
    const buffer = this.#socket.acquire(bytes.length);
    buffer.set(bytes);
    this.#socket.send(buffer, bytes.length, to);
  }

  /** Something waits for a node. */
  wake(node: number): void {
    this.send(this.beacon.wake(node, this.#world.clock.now()));
  }

  /** Ends it. */
  close(): Promise<void> {
    return this.#socket.close();
  }
}
