/**
 * What the registry has kept for us, read and verified (docs/protocol/trust.md §4): with the sender's own signature
 * where the sender is of our kind; of older peers there is only the registry's statement.
 *
 * @module
 */

import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { encodeText } from "../../protocol/bytes.ts";
import type { DecodeError } from "../../protocol/errors.ts";
import {
  type JsonObject,
  numberField,
  objectListField,
  textField,
} from "../../protocol/registry/registry_message.ts";
import {
  decodeHandshake,
  type HandshakeMessage,
  type HandshakeType,
} from "../../protocol/trust/mod.ts";

/** Oldest relayed message taken, seconds: as long as a registry of ours keeps it, and some. */
export const RELAYED_MAX_AGE_S = 100 * 86_400;

/** How far ahead a sender's clock may be: it comes but once, and a wrong clock must not make it come to nothing. */
export const RELAYED_MAX_AHEAD_S = 86_400;

/** One statement of a node. */
export interface Relayed {
  readonly from: number;
  readonly type: HandshakeType;
  /** The sender's key as the registry gives it, if it does. */
  readonly publicKey: Uint8Array | undefined;
  /** Why the sender asks, in the registry's words. */
  readonly justification: string;
  /** Where the sender registered from; "" when it is not known. */
  readonly source: string;
  /** The sender's own word, unverified; undefined from older peers, an error when it makes no sense. */
  readonly message: HandshakeMessage | DecodeError | undefined;
}

/** Reads the answer to a poll, in the order in which it is to be acted upon. */
export function readRelayed(inbox: JsonObject): Relayed[] {
  const entries = (name: string, typeOf: (entry: JsonObject) => HandshakeType) =>
    objectListField(inbox, name).map((entry) => relayed(entry, typeOf(entry)));
  return [
    ...entries("revocations", () => "handshake_revoke"),
    ...entries("requests", () => "handshake_request"),
    ...entries(
      "responses",
      (entry) => entry.accept === true ? "handshake_accept" : "handshake_reject",
    ),
  ].filter(({ from }) => from !== 0);
}

function relayed(entry: JsonObject, type: HandshakeType): Relayed {
  const key = decodeBase64(textField(entry, "public_key"));
  const message = textField(entry, "message");
  return {
    from: numberField(entry, "from_node_id"),
    type,
    publicKey: key === undefined || key.length === 0 ? undefined : key,
    justification: textField(entry, "justification"),
    source: textField(entry, "source"),
    message: message === "" ? undefined : decodeHandshake(encodeText(message)),
  };
}
