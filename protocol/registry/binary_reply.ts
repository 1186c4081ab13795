/**
 * The native replies of binary mode (docs/protocol/registry.md §1.4), made from the replies of JSON mode.
 *
 * @module
 */

import { EMPTY } from "../bytes.ts";
import { decodeBase64 } from "../crypto/base64.ts";
import { BinaryType, encodeBinaryFrame } from "./binary_frame.ts";
import {
  encodeBinaryHeartbeatOk,
  encodeBinaryLookupOk,
  encodeBinaryResolveOk,
  KEY_AGE_UNKNOWN,
} from "./binary_payload.ts";
import type { LookupReply, ResolveReply } from "./requests/directory_schema.ts";
import type { HeartbeatReply } from "./requests/identity_schema.ts";

/**
 * Frames the reply to a heartbeat.
 *
 * @param reply As in JSON mode.
 * @returns The frame.
 */
export function heartbeatFrame(reply: HeartbeatReply): Uint8Array {
  const payload = { time: reply.time, keyExpiryWarning: reply.key_expiry_warning === true };
  return encodeBinaryFrame(BinaryType.heartbeatOk, encodeBinaryHeartbeatOk(payload));
}

/**
 * Frames the reply to a lookup.
 *
 * @param reply As in JSON mode.
 * @returns The frame.
 */
export function lookupFrame(reply: LookupReply): Uint8Array {
  return encodeBinaryFrame(
    BinaryType.lookupOk,
    encodeBinaryLookupOk({
      node: reply.node_id,
      public: reply.public,
      taskExec: reply.task_exec === true,
      poloScore: reply.polo_score,
      networks: reply.networks ?? [],
      publicKey: decodeBase64(reply.public_key) ?? EMPTY,
      hostname: reply.hostname ?? "",
      tags: reply.tags ?? [],
      realAddr: reply.real_addr ?? "",
      externalId: reply.external_id ?? "",
    }),
  );
}

/**
 * Frames the reply to a resolve.
 *
 * @param reply As in JSON mode.
 * @returns The frame.
 */
export function resolveFrame(reply: ResolveReply): Uint8Array {
  return encodeBinaryFrame(
    BinaryType.resolveOk,
    encodeBinaryResolveOk({
      node: reply.node_id,
      realAddr: reply.real_addr,
      lanAddrs: reply.lan_addrs ?? [],
      keyAgeDays: reply.key_age_days ?? KEY_AGE_UNKNOWN,
      publicKey: decodeBase64(reply.public_key ?? "") ?? EMPTY,
    }),
  );
}
