/**
 * The authenticated key exchange: our PILA, and what becomes of theirs (docs/protocol/tunnel.md §4.3, §4.6).
 *
 * Verification asks the registry and is asynchronous; it holds up nobody but the peer concerned, and nothing
 * changes before it has succeeded.
 *
 * @module
 */

import type { Aead, AeadFactory } from "../../protocol/crypto/aead.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import { type Identity, verifySignature } from "../../protocol/crypto/identity.ts";
import { KeyPair } from "../../protocol/crypto/key_agreement.ts";
import {
  encodePila,
  encodePilk,
  pilaChallenge,
  type PilaInput,
} from "../../protocol/tunnel/frame.ts";
import type { OwnKeyFrames } from "../../protocol/tunnel/tunnel_host.ts";
import type { Verification } from "../../protocol/tunnel/verifications.ts";
import type { KeyVerdict, PeerKeys } from "./peer_keys.ts";
import type { TunnelVisibility } from "./types.ts";

/** Why a PILA brings no key. */
export type PilaRefusal =
  | Exclude<KeyVerdict, "ok">
  | "closed"
  | "bad signature"
  | "weak key"
  | "stranger";

/** Signs our PILAs, verifies theirs, and derives keys. */
export class KeyExchange {
  readonly #keyPair: KeyPair;
  readonly #aead: AeadFactory;
  readonly #keys: Pick<PeerKeys, "check">;
  readonly #visibility: Pick<TunnelVisibility, "askMayKnow">;
  #isClosed = false;
  #frames: OwnKeyFrames & { readonly plain: Uint8Array } | undefined;

  constructor(options: {
    keyPair: KeyPair;
    aead: AeadFactory;
    keys: Pick<PeerKeys, "check">;
    /** Whether a node that we do not expect may know that we are here. */
    visibility: Pick<TunnelVisibility, "askMayKnow">;
  }) {
    this.#keyPair = options.keyPair;
    this.#aead = options.aead;
    this.#keys = options.keys;
    this.#visibility = options.visibility;
  }

  /** Signs our PILA for a node number; until then {@linkcode KeyExchange.frames} gives nothing. */
  async setSelf(node: number, identity: Identity): Promise<OwnKeyFrames> {
    const x25519 = this.#keyPair.publicKey;
    const signature = await identity.sign(pilaChallenge(node, x25519));
    const fields = {
      sender: node,
      x25519,
      ed25519: identity.publicKey,
      signature,
    };
    const frames = this.#frames = {
      plain: encodePila(fields),
      request: encodePila({ ...fields, request: true }),
      response: encodePila({ ...fields, response: true }),
      key: encodePilk(node, x25519),
    };
    await this.#warmUp(fields);
    return frames;
  }

  /** Does once what the first contact will need: cold code would cost it several milliseconds. */
  async #warmUp(fields: PilaInput): Promise<void> {
    const challenge = pilaChallenge(fields.sender, fields.x25519);
    await verifySignature(fields.ed25519, challenge, fields.signature);
    const stranger = await KeyPair.generate();
    (await this.#keyPair.deriveTunnelKey(stranger.publicKey))?.fill(0);
  }

  /** Our PILA in its forms, and as `key` only our question for the peer's, a PILK; undefined before we have a number. */
  get frames(): OwnKeyFrames & { readonly plain: Uint8Array } | undefined {
    return this.#frames;
  }

  /** Derives no more keys: pending verifications find us "closed". */
  close(): void {
    this.#isClosed = true;
  }

  /** Verifies a PILA and derives its key: the cipher under it, or why there is none. */
  async verify(verification: Verification): Promise<Aead | PilaRefusal> {
    const { node, x25519, ed25519, signature, isExpected } = verification;
    if (equalBytes(x25519, this.#keyPair.publicKey)) return "weak key";
    // Begun beside the verification, which takes as long; thrown away when that fails.
    const deriving = this.#keyPair.deriveTunnelKey(x25519);
    const refuse = async <T>(reason: T): Promise<T> => {
      (await deriving)?.fill(0);
      return reason;
    };
    // The signature before the registry: a stranger must not make us ask for nothing.
    if (!await verifySignature(ed25519, pilaChallenge(node, x25519), signature)) {
      return await refuse("bad signature" as const);
    }
    const verdict = await this.#keys.check(node, ed25519);
    if (verdict !== "ok") return await refuse(verdict);
    // Only now: who makes us ask the registry must have shown a registered key.
    if (!isExpected && !await this.#visibility.askMayKnow(node)) {
      return await refuse("stranger" as const);
    }
    const key = await deriving;
    if (key === undefined) return "weak key";
    // The cipher's library may be unloaded by now.
    if (this.#isClosed) return await refuse("closed" as const);
    return this.#aeadOf(key);
  }

  #aeadOf(key: Uint8Array): Aead {
    try {
      return this.#aead(key);
    } finally {
      key.fill(0);
    }
  }
}
