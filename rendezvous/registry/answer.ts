/**
 * From a request to the bytes of its reply, in JSON and in binary mode (docs/protocol/registry.md §1.3, §1.4).
 *
 * @module
 */

import { DecodeError, PilotError } from "../../protocol/errors.ts";
import { decodeJson, encodeJson } from "../../protocol/bytes.ts";
import {
  type BinaryFrame,
  BinaryType,
  decodeBinaryHeartbeat,
  decodeBinaryLookup,
  decodeBinaryResolve,
  encodeBinaryError,
  encodeBinaryFrame,
  encodeJsonFrame,
  isJsonObject,
  type JsonObject,
  registryError,
  signedForms,
} from "../../protocol/registry/registry_message.ts";
import { heartbeatFrame, lookupFrame, resolveFrame } from "../../protocol/registry/binary_reply.ts";
import * as requests from "../../protocol/registry/requests/mod.ts";
import { WHOLE_VERSION } from "../../protocol/registry/whole_signature.ts";
import { wantsSignature } from "../../protocol/registry/signed_answer.ts";
import { unixSeconds } from "../../platform/clock.ts";
import { checkNodeSignature } from "./authenticate.ts";
import { contextOf, type Peer, type RequestContext, WholeSignatureRequired } from "./context.ts";
import type { RegistryCore } from "./core.ts";
import { UNKNOWN_TYPE } from "./counters.ts";
import { MASKED_TEXT, maskedError, RegistryFailure } from "./failure.ts";
import type { Served } from "./handler.ts";
import { describeTo, resolveNode } from "./requests/directory_requests.ts";
import { beat } from "./requests/identity_requests.ts";
import { SERVED } from "./requests/mod.ts";

/**
 * Answers a JSON request, signed when the client wants that.
 *
 * @param core The registry.
 * @param request The request, its fields unchecked.
 * @param peer Where it came from.
 * @returns The reply; refusals and internal errors become error replies.
 */
export async function answerJson(
  core: RegistryCore,
  request: JsonObject,
  peer: Peer,
): Promise<object> {
  const { type } = request;
  const served = typeof type === "string" ? SERVED.get(type) : undefined;
  const began = core.clock.now();
  const reply = await handle(core, served, request, peer);
  const name = served?.type ?? UNKNOWN_TYPE;
  core.counters.count(name, reply["type"] === "error", core.clock.now() - began);
  if (core.signer === undefined || !wantsSignature(request)) return reply;
  // Errors, too: a forged "not found" would otherwise go through.
  const signed = await core.signer.sign(request, reply, unixSeconds(core.clock));
  return signed === undefined ? reply : { ...reply, signed };
}

async function handle(
  core: RegistryCore,
  served: Served | undefined,
  request: JsonObject,
  peer: Peer,
): Promise<JsonObject> {
  if (served === undefined) return { ...maskedError() };
  const { type, answer } = served;
  try {
    return { type: `${type}_ok`, ...await answer(contextOf(core, request, peer)) };
  } catch (error) {
    if (error instanceof WholeSignatureRequired) return { ...error.reply, ...offer(core, peer) };
    if (error instanceof RegistryFailure) return { ...error.reply };
    reportDefect(core, type, error);
    return { ...maskedError() };
  }
}

/** What a client needs to sign its request as a whole. */
function offer(core: RegistryCore, { auth }: Peer): JsonObject {
  if (core.signer === undefined) return {};
  const challenge = auth.challenge(core.clock.now());
  return { auth: { v: WHOLE_VERSION, key: core.signer.publicKey, challenge } };
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
    return encodeJsonFrame(registryError("reply too long", "limit_exceeded"));
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
  if (frame.type === BinaryType.json) return await passThrough(core, frame.payload, peer);
  const name = NATIVE_NAMES.get(frame.type) ?? UNKNOWN_TYPE;
  const began = core.clock.now();
  const reply = await answerNative(core, frame, peer);
  const isError = reply[FRAME_TYPE_AT] === BinaryType.error;
  core.counters.count(name, isError, core.clock.now() - began);
  return reply;
}

/** Native requests by the names of their JSON forms, under which they are counted. */
const NATIVE_NAMES: ReadonlyMap<number, string> = new Map([
  [BinaryType.heartbeat, "heartbeat"],
  [BinaryType.lookup, "lookup"],
  [BinaryType.resolve, "resolve"],
]);
/** Where a frame's type is, behind the length. */
const FRAME_TYPE_AT = 4;

/** They carry the wire's signatures only, so nodes that are held to more are refused: their replays would be taken. */
async function answerNative(
  core: RegistryCore,
  frame: BinaryFrame,
  peer: Peer,
): Promise<Uint8Array> {
  try {
    switch (frame.type) {
      case BinaryType.heartbeat:
        return await nativeHeartbeat(core, frame.payload, peer);
      case BinaryType.lookup:
        return nativeLookup(core, frame.payload, peer);
      case BinaryType.resolve:
        return await nativeResolve(core, frame.payload, peer);
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
  peer: Peer,
): Promise<Uint8Array> {
  const request = decodeBinaryHeartbeat(payload);
  if (request instanceof DecodeError) return binaryError(request.message);
  const fields = { node_id: request.node, instance: "" };
  const context = nativeContext(core, peer);
  const node = core.nodes.live(request.node);
  const challenge = () => signedForms(requests.heartbeat, fields);
  await checkNodeSignature(context, node, challenge, request.signature);
  return heartbeatFrame(beat(context, node, fields.instance));
}

function nativeLookup(core: RegistryCore, payload: Uint8Array, peer: Peer): Uint8Array {
  const id = decodeBinaryLookup(payload);
  if (id instanceof DecodeError) return binaryError(id.message);
  return lookupFrame(describeTo(core, id, peer.auth.nodes));
}

async function nativeResolve(
  core: RegistryCore,
  payload: Uint8Array,
  peer: Peer,
): Promise<Uint8Array> {
  const request = decodeBinaryResolve(payload);
  if (request instanceof DecodeError) return binaryError(request.message);
  const { node, requester, signature } = request;
  const fields = { node_id: node, requester_id: requester };
  return resolveFrame(await resolveNode(nativeContext(core, peer), fields, () => signature));
}

function nativeContext(core: RegistryCore, peer: Peer): RequestContext {
  return { core, peer, request: {}, wholeKey: undefined };
}

function reportDefect(core: RegistryCore, type: string, error: unknown): void {
  core.log.error("internal error while handling a request", {
    type,
    error: error instanceof Error ? error.stack ?? error.message : String(error),
  });
}
