/**
 * Nodes with keys of their own, and their signed requests, made before anything is timed.
 *
 * @module
 */

import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { decodeBase64, encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { encodeJsonFrame, signedText } from "../../../protocol/registry/registry_message.ts";
import { register } from "../../../protocol/registry/requests/mod.ts";

const KEY_BYTES = 32;

/** What there is to make. */
export interface NodesOptions {
  /** How many nodes. */
  readonly count: number;
  /** How many of the first ones, evenly spread, keep their private key and sign later. */
  readonly signers: number;
  /** How many the last ones are, which never sign later. */
  readonly late: number;
}

/** Many nodes, by their index. */
export class Nodes {
  /** How many. */
  readonly count: number;
  /** Indexes of those that can sign. */
  readonly signers: readonly number[];
  /** Number the registry gave; 0 before it acknowledged one. */
  readonly ids: Uint32Array;
  readonly #publicKeys: Uint8Array;
  readonly #privateKeys: Map<number, KeyObject> = new Map();
  /** All registrations behind each other, and where each begins: one buffer instead of as many objects. */
  #frames: Uint8Array = new Uint8Array(0);
  readonly #starts: Uint32Array;

  /** @param options How many. Takes some 75 microseconds a node. */
  constructor({ count, signers, late }: NodesOptions) {
    this.count = count;
    this.ids = new Uint32Array(count);
    this.#publicKeys = new Uint8Array(count * KEY_BYTES);
    this.#starts = new Uint32Array(count + 1);
    const able = Math.min(signers, count - late);
    const step = (count - late) / able;
    this.signers = Array.from({ length: able }, (_, i) => Math.floor(i * step));
    const signs = new Set(this.signers);
    for (let index = 0; index < count; index++) this.#make(index, signs.has(index));
  }

  #make(index: number, signs: boolean): void {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const { x = "" } = publicKey.export({ format: "jwk" });
    const key = `${x.replaceAll("-", "+").replaceAll("_", "/")}=`;
    const listenAddr = `127.0.0.1:${1024 + index % 60_000}`;
    const signed = { public_key: key, listen_addr: listenAddr };
    const challenge = signedText(register, signed)!;
    const frame = encodeJsonFrame({
      type: register.type,
      ...signed,
      lan_addrs: [`192.168.${index >> 8 & 0xff}.${index & 0xff}:4000`],
      hostname: `agent-${index}`,
      version: "0.1.0",
      protocol_version: 1,
      signature: encodeBase64(sign(null, challenge, privateKey)),
    });
    this.#publicKeys.set(decodeBase64(key)!, index * KEY_BYTES);
    this.#append(index, frame);
    if (signs) this.#privateKeys.set(index, privateKey);
  }

  #append(index: number, frame: Uint8Array): void {
    const start = this.#starts[index]!;
    const end = start + frame.length;
    if (end > this.#frames.length) {
      const larger = new Uint8Array(Math.max(end * 2, frame.length * this.count));
      larger.set(this.#frames.subarray(0, start));
      this.#frames = larger;
    }
    this.#frames.set(frame, start);
    this.#starts[index + 1] = end;
  }

  /** The registration of a node, framed as JSON. */
  registration(index: number): Uint8Array {
    return this.#frames.subarray(this.#starts[index], this.#starts[index + 1]);
  }

  /** The public key of a node, 32 bytes. */
  publicKey(index: number): Uint8Array {
    return this.#publicKeys.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
  }

  /** Signs as one of {@linkcode Nodes.signers}. */
  sign(index: number, challenge: Uint8Array): Uint8Array {
    return sign(null, challenge, this.#privateKeys.get(index)!);
  }
}
