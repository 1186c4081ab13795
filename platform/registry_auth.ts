/**
 * Signs a node's requests as a whole on one connection (protocol/registry/whole_signature.ts).
 *
 * @module
 */

import { encodeBase64 } from "../protocol/crypto/base64.ts";
import { PilotError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/registry/registry_message.ts";
import {
  WHOLE_VERSION,
  type WholeOffer,
  wholeRequestBytes,
} from "../protocol/registry/whole_signature.ts";

/** The signer of requests; `Identity` is one. */
export interface RequestSigner {
  /** Its public key, base64. */
  readonly publicKeyBase64: string;
  /** Signs bytes with Ed25519. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** What one connection knows of its registry, and the count of what was signed for it. */
export class ConnectionSigner {
  #offer: WholeOffer | undefined;
  #seq = 0;

  /**
   * Takes the registry's data.
   *
   * @param offer Its key and challenge. A new challenge begins a new count.
   * @throws {PilotError} `untrusted` when it names another key than before on the same connection.
   */
  adopt(offer: WholeOffer): void {
    if (this.#offer !== undefined && this.#offer.key !== offer.key) {
      throw new PilotError("untrusted", "The registry presents another key than before", {
        advice: { id: "pin_registry_key" },
      });
    }
    if (this.#offer?.challenge !== offer.challenge) this.#seq = 0;
    this.#offer = offer;
  }

  /**
   * Adds the field `auth`. The next call must wait for this one: the registry takes the counts in order only.
   *
   * @param request The request, complete otherwise.
   * @param signer Who signs.
   * @returns The request signed; or one that asks for a challenge, as long as none is known.
   * @throws {PilotError} `invalid_argument` for a request that is nested too deep.
   */
  async sign(request: JsonObject, signer: RequestSigner): Promise<JsonObject> {
    if (this.#offer === undefined) return { ...request, auth: { v: WHOLE_VERSION } };
    const { key, challenge } = this.#offer;
    const seq = ++this.#seq;
    const bytes = wholeRequestBytes(key, challenge, seq, request);
    if (bytes === undefined) {
      throw new PilotError("invalid_argument", "This request is nested too deep to be signed", {
        hint: "A policy document can be sent as a text.",
      });
    }
    const sig = encodeBase64(await signer.sign(bytes));
    const auth = { v: WHOLE_VERSION, key: signer.publicKeyBase64, challenge, seq, sig };
    return { ...request, auth };
  }
}
