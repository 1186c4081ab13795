/** A beacon that knows keys, and nodes that prove where they are. */

import { Identity, verifySignature } from "../../../protocol/crypto/mod.ts";
import {
  type BeaconMessage,
  decodeBeacon,
  DISCOVER_WAKE,
  discoverChallenge,
  encodeBeacon,
} from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Beacon, type BeaconOptions, type Outgoing } from "../../../rendezvous/beacon/beacon.ts";

export const A: Endpoint = { host: "203.0.113.5", port: 4000 };
export const B: Endpoint = { host: "203.0.113.6", port: 4001 };
export const C: Endpoint = { host: "198.51.100.1", port: 9 };

/** Two keys, made once. */
export const KEYS: readonly Identity[] = [await Identity.generate(), await Identity.generate()];

const NO_COOKIE = new Uint8Array(16);

/** Decodes what was sent, copied: it may be a view of the input. */
export function messages(outgoing: readonly Outgoing[]): [BeaconMessage, Endpoint][] {
  return outgoing.map(({ bytes, to }) => {
    const message = decodeBeacon(bytes.slice());
    if (message instanceof DecodeError) throw new Error("the beacon sent nonsense");
    return [message, to];
  });
}

/** A beacon whose registry knows nodes 42 and 43, with the keys of {@linkcode KEYS}. */
export function beaconWithKeys(options: Partial<BeaconOptions> = {}): Beacon {
  const keys = new Map(KEYS.map(({ publicKey }, i) => [42 + i, publicKey]));
  return new Beacon({ keyOf: (node) => keys.get(node), ...options });
}

/** The question for a cookie. */
export function question(node: number, nonce: Uint8Array): Uint8Array {
  return encodeBeacon({
    type: "discover_auth",
    node,
    flags: DISCOVER_WAKE,
    nonce,
    cookie: NO_COOKIE,
    signature: undefined,
  });
}

/** A nonce of one byte repeated. */
export function nonceOf(byte: number): Uint8Array {
  return new Uint8Array(16).fill(byte);
}

/** A signed announcement. */
export async function signed(
  { node, nonce, cookie, flags = DISCOVER_WAKE, by = KEYS[node - 42]! }: {
    node: number;
    nonce: Uint8Array;
    cookie: Uint8Array;
    flags?: number;
    by?: Identity;
  },
): Promise<Uint8Array> {
  const fields = { node, flags, nonce, cookie };
  const signature = await by.sign(discoverChallenge(fields));
  return encodeBeacon({ type: "discover_auth", ...fields, signature });
}

/** Gets a cookie. */
export function cookieFor(
  beacon: Beacon,
  node: number,
  from: Endpoint,
  { nonce = nonceOf(1), now = 0 } = {},
): { isProven: boolean; cookie: Uint8Array } {
  const [answer] = messages(beacon.receive(question(node, nonce), from, now));
  if (answer?.[0].type !== "cookie") throw new Error("no cookie");
  return answer[0];
}

/** Checks the signatures that wait, as the server does. */
export async function settleProofs(beacon: Beacon, now = 0): Promise<Outgoing[]> {
  const outgoing: Outgoing[] = [];
  for (const proof of beacon.takeProofs()) {
    const isValid = await verifySignature(proof.publicKey, proof.message, proof.signature);
    outgoing.push(...beacon.onVerified(proof, isValid, now));
  }
  return outgoing;
}

/** Lets a node prove where it is. */
export async function prove(
  beacon: Beacon,
  node: number,
  from: Endpoint,
  { nonce = nonceOf(1), now = 0, flags = DISCOVER_WAKE } = {},
): Promise<Outgoing[]> {
  const { cookie } = cookieFor(beacon, node, from, { nonce, now });
  beacon.receive(await signed({ node, nonce, cookie, flags }), from, now);
  return await settleProofs(beacon, now);
}

/** A relay datagram. */
export function relay(sender: number, dest: number, bytes = 20): Uint8Array {
  return encodeBeacon({ type: "relay", sender, dest, frame: new Uint8Array(bytes).fill(7) });
}

/** A plain announcement. */
export function discover(node: number): Uint8Array {
  return encodeBeacon({ type: "discover", node, ex: false });
}
