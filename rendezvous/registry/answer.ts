/**
 * From a request to the bytes of its reply, in JSON and in binary mode (rendezvous.md §1.3, §1.4).
 *
 * @module
 */

import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import { decodeJson, EMPTY, encodeJson } from "../../protocol/bytes.ts";
import {
  type BinaryFrame,
  BinaryType,
  challenges,
  decodeBinaryHeartbeat,
  decodeBinaryLookup,
  decodeBinaryResolve,
  encodeBinaryError,
  encodeBinaryFrame,
  encodeBinaryHeartbeatOk,
  encodeBinaryLookupOk,
  encodeBinaryResolveOk,
  encodeJsonFrame,
  isJsonObject,
  type JsonObject,
  KEY_AGE_UNKNOWN,
  registryError,
} from "../../protocol/registry.ts";
import { unixSeconds } from "../clock.ts";
import { checkNodeSignature } from "./authenticate.ts";
import type { RegistryCore } from "./core.ts";
import { MASKED_TEXT, RegistryFailure } from "./failure.ts";
import type { Peer } from "./handler.ts";
import { describe, resolveNode } from "./requests/directory.ts";
import { HANDLERS } from "./requests/mod.ts";

/**
 * Answers a JSON request.
 *
 * @param core The registry.
 * @param request The request, its fields unchecked.
 * @param peer Where it came from.
 * @returns The reply; refusals and defects become error replies.
 */
export async function answerJson(
  core: RegistryCore,
  request: JsonObject,
  peer: Peer,
): Promise<object> {
  const { type } = request;
  const handler = typeof type === "string" ? HANDLERS.get(type) : undefined;
  if (handler === undefined) return registryError(MASKED_TEXT);
  try {
    return { type: `${String(type)}_ok`, ...await handler(core, request, peer) };
  } catch (error) {
    if (error instanceof RegistryFailure) return registryError(error.visibleText);
    reportDefect(core, String(type), error);
    return registryError(MASKED_TEXT);
  }
}

/** {@linkcode answerJson}, framed. A reply above the frame limit becomes an error. */
export async function answerJsonFrame(
  core: RegistryCore,
  request: JsonObject,
  peer: Peer,
): Promise<Uint8Array> {
  const reply = await answerJson(core, request, peer);
  try {
    return encodeJsonFrame(reply);
  } catch (error) {
    if (!(error instanceof PilotError)) throw error;
    return encodeJsonFrame(registryError("reply too long"));
  }
}

/**
 * Answers a binary frame.
 *
 * @param core The registry.
 * @param frame The frame; its payload is read before anything is awaited.
 * @param peer Where it came from.
 * @returns The framed reply.
 */
export async function answerBinaryFrame(
  core: RegistryCore,
  frame: BinaryFrame,
  peer: Peer,
): Promise<Uint8Array> {
  try {
    switch (frame.type) {
      case BinaryType.json:
        return await passThrough(core, frame.payload, peer);
      case BinaryType.heartbeat:
        return await nativeHeartbeat(core, frame.payload);
      case BinaryType.lookup:
        return nativeLookup(core, frame.payload);
      case BinaryType.resolve:
        return await nativeResolve(core, frame.payload);
      default: {
        const type = frame.type.toString(16).padStart(2, "0");
        return binaryError(`unknown message type 0x${type}`);
      }
    }
  } catch (error) {
    if (error instanceof RegistryFailure) return binaryError(error.nativeText);
    reportDefect(core, `binary ${frame.type}`, error);
    return binaryError(MASKED_TEXT);
  }
}

/** A framed binary error. */
export function binaryError(text: string): Uint8Array {
  return encodeBinaryFrame(BinaryType.error, encodeBinaryError(text));
}

async function passThrough(
  core: RegistryCore,
  payload: Uint8Array,
  peer: Peer,
): Promise<Uint8Array> {
  const request = decodeJson(payload);
  if (request instanceof DecodeError || !isJsonObject(request)) {
    return binaryError("invalid JSON request");
  }
  if (request["type"] === "subscribe_replication") {
    return binaryError("replication not supported over binary protocol");
  }
  const reply = encodeJson(await answerJson(core, request, peer));
  try {
    return encodeBinaryFrame(BinaryType.json, reply);
  } catch (error) {
    if (!(error instanceof PilotError)) throw error;
    return binaryError("reply too long");
  }
}

async function nativeHeartbeat(
  core: RegistryCore,
  payload: Uint8Array,
): Promise<Uint8Array> {
  const request = decodeBinaryHeartbeat(payload);
  if (request instanceof DecodeError) return binaryError(request.message);
  const node = core.directory.live(request.node);
  const challenge = challenges.heartbeat(request.node);
  await checkNodeSignature(core, node, challenge, request.signature);
  core.directory.touch(node);
  const time = unixSeconds(core.clock);
  return encodeBinaryFrame(
    BinaryType.heartbeatOk,
    encodeBinaryHeartbeatOk({ time, keyExpiryWarning: false }),
  );
}

function nativeLookup(core: RegistryCore, payload: Uint8Array): Uint8Array {
  const id = decodeBinaryLookup(payload);
  if (id instanceof DecodeError) return binaryError(id.message);
  const node = describe(core.directory.live(id));
  return encodeBinaryFrame(
    BinaryType.lookupOk,
    encodeBinaryLookupOk({
      node: id,
      public: node.public,
      taskExec: node.task_exec === true,
      poloScore: node.polo_score,
      networks: node.networks ?? [],
      publicKey: decodeBase64(node.public_key) ?? EMPTY,
      hostname: node.hostname ?? "",
      tags: node.tags ?? [],
      realAddr: node.real_addr ?? "",
      externalId: node.external_id ?? "",
    }),
  );
}

async function nativeResolve(
  core: RegistryCore,
  payload: Uint8Array,
): Promise<Uint8Array> {
  const request = decodeBinaryResolve(payload);
  if (request instanceof DecodeError) return binaryError(request.message);
  const { node, requester, signature } = request;
  const reply = await resolveNode(core, node, requester, () => signature);
  return encodeBinaryFrame(
    BinaryType.resolveOk,
    encodeBinaryResolveOk({
      node,
      realAddr: reply.real_addr,
      lanAddrs: reply.lan_addrs ?? [],
      keyAgeDays: reply.key_age_days ?? KEY_AGE_UNKNOWN,
      publicKey: decodeBase64(reply.public_key ?? "") ?? EMPTY,
    }),
  );
}

function reportDefect(core: RegistryCore, type: string, error: unknown): void {
  core.log.error("request failed by a defect", {
    type,
    error: error instanceof Error ? error.stack ?? error.message : String(error),
  });
}
