/**
 * IPC commands with sub-commands: Handshake (docs/protocol/local-socket.md §4) and Network (§5).
 *
 * @module
 */

import {
  concatBytes,
  decodeJson,
  decodeText,
  EMPTY,
  encodeJson,
  encodeText,
  viewOf,
} from "../bytes.ts";
import { type Decoded, DecodeError } from "../errors.ts";
import { encodeConn as u32 } from "./ipc_payload.ts";
import { isJsonObject } from "../registry/registry_message.ts";

/** Longest wait of the handshake `wait` sub-command, milliseconds (docs/protocol/local-socket.md §4). */
export const IPC_HANDSHAKE_WAIT_MAX_MS = 30_000;

/** A Handshake request. */
export type IpcHandshake =
  | {
    readonly sub: "send";
    readonly node: number;
    readonly justification: string;
  }
  | { readonly sub: "approve"; readonly node: number }
  | { readonly sub: "reject"; readonly node: number; readonly reason: string }
  | { readonly sub: "pending" }
  | { readonly sub: "trusted" }
  | { readonly sub: "revoke"; readonly node: number }
  | { readonly sub: "wait"; readonly node: number; readonly timeoutMs: number };

/** A Network request. */
export type IpcNetwork =
  | { readonly sub: "list" }
  | { readonly sub: "join"; readonly network: number; readonly token: string }
  | { readonly sub: "leave"; readonly network: number }
  | { readonly sub: "members"; readonly network: number }
  | { readonly sub: "invite"; readonly network: number; readonly node: number }
  | { readonly sub: "poll_invites" }
  | {
    readonly sub: "respond_invite";
    readonly network: number;
    readonly accept: boolean;
  }
  /** Ours: a change of a network by role, or the release of this node's hold, by the registry's names. */
  | {
    readonly sub: "manage";
    /** Type of the registry's request. */
    readonly type: string;
    /** Its other fields. */
    readonly fields: Readonly<Record<string, unknown>>;
  };

/** Sub-command byte of `manage`, far above those of the wire. */
const NETWORK_MANAGE = 0x40;

const HANDSHAKE_SUBS = [
  "send",
  "approve",
  "reject",
  "pending",
  "trusted",
  "revoke",
  "wait",
] as const satisfies readonly IpcHandshake["sub"][];

const NETWORK_SUBS = [
  "list",
  "join",
  "leave",
  "members",
  "invite",
  "poll_invites",
  "respond_invite",
] as const satisfies readonly Exclude<IpcNetwork["sub"], "manage">[];

const short = (message: string) => new DecodeError("too_short", message);

function unknown(command: string, sub: number): DecodeError {
  const hex = sub.toString(16).padStart(2, "0");
  return new DecodeError(
    "unknown_type",
    `${command}: unknown sub-command 0x${hex}`,
  );
}

/**
 * Encodes a Handshake request.
 *
 * @param request The request.
 * @returns Sub-command byte and fields.
 */
export function encodeHandshake(request: IpcHandshake): Uint8Array {
  const sub = Uint8Array.of(HANDSHAKE_SUBS.indexOf(request.sub) + 1);
  switch (request.sub) {
    case "send":
      return concatBytes(
        sub,
        u32(request.node),
        encodeText(request.justification),
      );
    case "reject":
      return concatBytes(sub, u32(request.node), encodeText(request.reason));
    case "approve":
    case "revoke":
      return concatBytes(sub, u32(request.node));
    case "wait":
      return concatBytes(sub, u32(request.node), u32(request.timeoutMs));
    case "pending":
    case "trusted":
      return sub;
  }
}

const HANDSHAKE_NO_SUB = short("handshake: missing sub-command");
const HANDSHAKE_NO_NODE = {
  send: short("handshake request: missing node_id"),
  approve: short("handshake approve: missing node_id"),
  reject: short("handshake reject: missing node_id"),
  revoke: short("handshake revoke: missing node_id"),
  wait: short("handshake wait: missing node_id or timeout"),
};

/**
 * Decodes a Handshake request. A wait is cut to {@linkcode IPC_HANDSHAKE_WAIT_MAX_MS}.
 *
 * @param payload Sub-command byte and fields.
 * @returns The request, or a {@linkcode DecodeError} whose message is the text of §3.
 */
export function decodeHandshake(payload: Uint8Array): Decoded<IpcHandshake> {
  const code = payload[0];
  if (code === undefined) return HANDSHAKE_NO_SUB;
  const sub = HANDSHAKE_SUBS[code - 1];
  if (sub === undefined) return unknown("handshake", code);
  if (sub === "pending" || sub === "trusted") return { sub };
  if (payload.length < (sub === "wait" ? 9 : 5)) return HANDSHAKE_NO_NODE[sub];
  const view = viewOf(payload);
  const node = view.getUint32(1);
  switch (sub) {
    case "approve":
    case "revoke":
      return { sub, node };
    case "wait":
      return {
        sub,
        node,
        timeoutMs: Math.min(view.getUint32(5), IPC_HANDSHAKE_WAIT_MAX_MS),
      };
    case "send":
    case "reject": {
      const text = decodeText(payload.subarray(5));
      if (text instanceof DecodeError) return text;
      return sub === "send" ? { sub, node, justification: text } : { sub, node, reason: text };
    }
  }
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

/**
 * Encodes a Network request.
 *
 * @param request The request.
 * @returns Sub-command byte and fields.
 */
export function encodeNetwork(request: IpcNetwork): Uint8Array {
  if (request.sub === "manage") {
    const { type, fields } = request;
    return concatBytes(Uint8Array.of(NETWORK_MANAGE), encodeJson({ ...fields, type }));
  }
  const sub = Uint8Array.of(NETWORK_SUBS.indexOf(request.sub) + 1);
  const network = "network" in request ? u16(request.network) : EMPTY;
  switch (request.sub) {
    case "join":
      return concatBytes(sub, network, encodeText(request.token));
    case "invite":
      return concatBytes(sub, network, u32(request.node));
    case "respond_invite":
      return concatBytes(sub, network, Uint8Array.of(request.accept ? 1 : 0));
    case "leave":
    case "members":
    case "list":
    case "poll_invites":
      return concatBytes(sub, network);
  }
}

const NETWORK_NO_SUB = short("network: missing sub-command");
const NETWORK_MISSING = {
  join: short("network join: missing network_id"),
  leave: short("network leave: missing network_id"),
  members: short("network members: missing network_id"),
  invite: short("network invite: missing network_id or target_node_id"),
  respond_invite: short(
    "network respond-invite: missing network_id or accept flag",
  ),
};

const NO_MANAGE = new DecodeError("malformed", "network manage: not a JSON object with a type");

function decodeManage(payload: Uint8Array): Decoded<IpcNetwork> {
  const request = decodeJson(payload);
  if (request instanceof DecodeError || !isJsonObject(request)) return NO_MANAGE;
  const { type, ...fields } = request;
  return typeof type === "string" ? { sub: "manage", type, fields } : NO_MANAGE;
}

/**
 * Decodes a Network request.
 *
 * @param payload Sub-command byte and fields.
 * @returns The request, or a {@linkcode DecodeError} whose message is the text of §3.
 */
export function decodeNetwork(payload: Uint8Array): Decoded<IpcNetwork> {
  const code = payload[0];
  if (code === undefined) return NETWORK_NO_SUB;
  if (code === NETWORK_MANAGE) return decodeManage(payload.subarray(1));
  const sub = NETWORK_SUBS[code - 1];
  if (sub === undefined) return unknown("network", code);
  if (sub === "list" || sub === "poll_invites") return { sub };
  const least = sub === "invite" ? 7 : sub === "respond_invite" ? 4 : 3;
  if (payload.length < least) return NETWORK_MISSING[sub];
  const view = viewOf(payload);
  const network = view.getUint16(1);
  switch (sub) {
    case "leave":
    case "members":
      return { sub, network };
    case "invite":
      return { sub, network, node: view.getUint32(3) };
    case "respond_invite":
      return { sub, network, accept: payload[3] === 1 };
    case "join": {
      const token = decodeText(payload.subarray(3));
      return token instanceof DecodeError ? token : { sub, network, token };
    }
  }
}
