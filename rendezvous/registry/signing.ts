/**
 * The registry's own key, with which it signs answers for clients that ask for it (see protocol/registry/signed_answer.ts).
 *
 * @module
 */

import { join } from "node:path";
import { readPrivateFile, writeFileAtomic } from "../../platform/private_files.ts";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { Identity } from "../../protocol/crypto/identity.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import { type AnswerSignature, signedAnswerBytes } from "../../protocol/registry/signed_answer.ts";

/** Name of the key file in the store directory, mode 0600, in the format of a node's identity.json. */
export const REGISTRY_KEY_FILE = "registry.json";

/** Signs answers. Costs about 25 microseconds each, so nothing is signed for clients that do not ask. */
export class AnswerSigner {
  readonly #identity: Identity;

  /** @param identity The registry's key. */
  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /**
   * Loads the key of a store, making it at the first start.
   *
   * @param directory The store; undefined makes a key that is forgotten with the process.
   * @returns The signer.
   * @throws {PilotError} `invalid_argument` for a damaged file, which is left as it is: clients have pinned its key;
   * `denied` when others may read it; `io_error`.
   */
  static async load(directory: string | undefined): Promise<AnswerSigner> {
    if (directory === undefined) return new AnswerSigner(await Identity.generate());
    const path = join(directory, REGISTRY_KEY_FILE);
    const text = await readPrivateFile(path);
    if (text !== undefined) return new AnswerSigner(await parse(text, path));
    const identity = await Identity.generate();
    await writeFileAtomic(path, identity.toFile());
    return new AnswerSigner(identity);
  }

  /** The public key, base64: what clients pin. */
  get publicKey(): string {
    return this.#identity.publicKeyBase64;
  }

  /**
   * Signs an answer.
   *
   * @param request The request, which wants it.
   * @param reply The reply.
   * @param time Unix seconds.
   * @returns The reply's field `signed`; undefined for a request nested too deep to be one of ours.
   */
  async sign(
    request: JsonObject,
    reply: JsonObject,
    time: number,
  ): Promise<AnswerSignature | undefined> {
    const bytes = signedAnswerBytes(request, reply, time);
    if (bytes === undefined) return undefined;
    const signature = encodeBase64(await this.#identity.sign(bytes));
    return { key: this.publicKey, time, signature };
  }
}

async function parse(text: string, path: string): Promise<Identity> {
  try {
    return await Identity.fromFile(text);
  } catch (cause) {
    throw new PilotError("invalid_argument", `The registry's key file ${path} is damaged`, {
      cause,
      hint: "Restore it from a backup. Without it the registry has a new key, " +
        "and daemons that pin the old one refuse its answers.",
    });
  }
}
