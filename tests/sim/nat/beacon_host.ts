/**
 * The real beacon on the simulated internet, with an IPv4 and an IPv6 address.
 *
 * @module
 */

import { decodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { verifySignature } from "../../../protocol/crypto/mod.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Beacon, type Outgoing } from "../../../rendezvous/beacon/beacon.ts";
import { MAPPING_SWEEP_MS } from "../../../rendezvous/beacon/beacon_limits.ts";
import type { Datagram, Internet } from "./internet.ts";

const PORT = 9_001;
/** Its addresses. */
export const BEACON_V4: Endpoint = { host: "198.51.100.1", port: PORT };
export const BEACON_V6: Endpoint = { host: "2001:db8:ffff::1", port: PORT };

/** A frame that the beacon was asked to relay. */
export interface Relayed {
  readonly at: number;
  /** Where it came from. */
  readonly from: Endpoint;
  /** As the request says; anybody may say anything. */
  readonly sender: number;
  readonly dest: number;
  /** Of the frame inside. */
  readonly bytes: number;
}

/** Beacon and socket. */
export class BeaconHost {
  /** The rules. */
  beacon: Beacon;
  /** Everything relayed since the last time somebody emptied it. */
  readonly relayed: Relayed[] = [];
  /** Neither hears nor says anything. */
  isDown = false;
  readonly #net: Internet;
  readonly #keyOf: (node: number) => Uint8Array | undefined;

  constructor(net: Internet, keyOf: (node: number) => Uint8Array | undefined) {
    this.#net = net;
    this.#keyOf = keyOf;
    this.beacon = this.#make();
    for (const { host } of [BEACON_V4, BEACON_V6]) {
      net.core.attach(host, (datagram) => this.#receive(datagram), { delayMs: 5 });
    }
    this.#sweep();
  }

  /** Starts a new process, which knows nothing. */
  restart(): void {
    this.beacon = this.#make();
    this.isDown = false;
  }

  #make(): Beacon {
    return new Beacon({ keyOf: this.#keyOf, secret: new Uint8Array(32).fill(7) });
  }

  #receive({ data, from, to }: Datagram): void {
    if (this.isDown || to.port !== PORT) return;
    const { beacon } = this;
    this.#note(data, from);
    this.#send(beacon.receive(data, from, this.#now));
    for (const proof of beacon.takeProofs()) {
      verifySignature(proof.publicKey, proof.message, proof.signature).then((isValid) => {
        const answers = beacon.onVerified(proof, isValid, this.#now);
        if (beacon === this.beacon) this.#send(answers);
      });
    }
  }

  #note(data: Uint8Array, from: Endpoint): void {
    const message = decodeBeacon(data);
    if (message instanceof DecodeError || message.type !== "relay") return;
    const { sender, dest, frame } = message;
    this.relayed.push({ at: this.#now, from, sender, dest, bytes: frame.length });
  }

  #send(outgoing: readonly Outgoing[]): void {
    if (this.isDown) return;
    for (const { bytes, to } of outgoing) {
      const from = to.host.includes(":") ? BEACON_V6 : BEACON_V4;
      this.#net.core.send({ from, to, data: bytes, mayFragment: true });
    }
  }

  get #now(): number {
    return this.#net.clock.now();
  }

  #sweep(): void {
    this.#net.clock.after(MAPPING_SWEEP_MS, () => {
      this.beacon.sweep(this.#now);
      this.#sweep();
    });
  }
}
