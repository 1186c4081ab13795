/**
 * Calls about this node, its peers and its entry in the registry (docs/protocol/local-socket.md §2, §7).
 *
 * @module
 */

import { type Address, ADDRESS_BYTES, encodeAddress } from "../address.ts";
import { concatBytes, decodeJson, encodeJson, viewOf } from "../bytes.ts";
import { DecodeError } from "../errors.ts";
import type { PathReport } from "../path/mod.ts";
import type {
  HostnameFields,
  LookupReply,
  SetTagsReply,
  SetVisibilityReply,
} from "../registry/requests/mod.ts";
import { u32 } from "./integers.ts";
import {
  type FieldCodec,
  HOSTNAME_TEXT,
  type IpcCall,
  ipcCall,
  NODE,
  type NoFields,
  NOTHING,
  tooShort,
} from "./ipc_call.ts";
import { Cmd } from "./ipc_frame.ts";
import type {
  IpcHandshakeTargetReply,
  IpcHealth,
  IpcInfo,
  IpcPingReply,
  IpcResolvedHostname,
} from "./ipc_replies.ts";

/** The state of the daemon. */
export const INFO: IpcCall<NoFields, IpcInfo> = ipcCall({
  ...{ cmd: Cmd.Info, name: "info", prefix: "", fields: NOTHING },
});

/** Its short form. */
export const HEALTH: IpcCall<NoFields, IpcHealth> = ipcCall({
  ...{ cmd: Cmd.Health, name: "health", prefix: "", fields: NOTHING },
});

/** A hostname that must be there. */
const SOME_HOSTNAME: typeof HOSTNAME_TEXT = {
  ...HOSTNAME_TEXT,
  decode: (payload, name) =>
    payload.length === 0
      ? tooShort(`${name}: missing hostname`)
      : HOSTNAME_TEXT.decode(payload, name),
};

/** Finds a node by its hostname. */
export const RESOLVE_HOSTNAME: IpcCall<{ readonly hostname: string }, IpcResolvedHostname> =
  ipcCall({ cmd: Cmd.ResolveHostname, name: "resolve_hostname", fields: SOME_HOSTNAME });

/** Finds the node behind a hostname for a handshake, also a private one. */
export const HANDSHAKE_TARGET: IpcCall<{ readonly hostname: string }, IpcHandshakeTargetReply> =
  ipcCall({
    ...{ cmd: Cmd.HandshakeTarget, name: "handshake target", isExtension: true },
    fields: SOME_HOSTNAME,
  });

/** Sets or, when empty, clears the hostname of this node. */
export const SET_HOSTNAME: IpcCall<{ readonly hostname: string }, HostnameFields> = ipcCall({
  ...{ cmd: Cmd.SetHostname, name: "set_hostname", fields: HOSTNAME_TEXT },
});

const FLAG: FieldCodec<{ readonly isPublic: boolean }> = {
  encode: ({ isPublic }) => Uint8Array.of(isPublic ? 1 : 0),
  decode: (payload, name) =>
    payload.length < 1 ? tooShort(`${name}: missing value`) : { isPublic: payload[0] === 1 },
};

/** Shows this node to everybody, or to those it trusts. */
export const SET_VISIBILITY: IpcCall<{ readonly isPublic: boolean }, SetVisibilityReply> = ipcCall({
  ...{ cmd: Cmd.SetVisibility, name: "set_visibility", fields: FLAG },
});

const TAGS: FieldCodec<{ readonly tags: readonly string[] }> = {
  encode: ({ tags }) => encodeJson(tags),
  decode: (payload, name) => {
    const tags: unknown = decodeJson(payload);
    const isList = Array.isArray(tags) && tags.every((tag) => typeof tag === "string");
    return isList
      ? { tags: tags as string[] }
      : new DecodeError("malformed", `${name}: invalid JSON`);
  },
};

/** Replaces the tags of this node. */
export const SET_TAGS: IpcCall<{ readonly tags: readonly string[] }, SetTagsReply> = ipcCall({
  ...{ cmd: Cmd.SetTags, name: "set_tags", fields: TAGS },
});

/** Takes this node out of the registry. */
export const DEREGISTER: IpcCall<NoFields, NoFields> = ipcCall({
  ...{ cmd: Cmd.Deregister, name: "deregister", fields: NOTHING },
});

/** What the registry says of a node. */
export const LOOKUP: IpcCall<{ readonly node: number }, LookupReply> = ipcCall({
  ...{ cmd: Cmd.Lookup, name: "lookup", isExtension: true, fields: NODE },
});

/** The paths to a peer. */
export const PATH: IpcCall<{ readonly node: number }, PathReport> = ipcCall({
  ...{ cmd: Cmd.Path, name: "path", prefix: "", isExtension: true, fields: NODE },
});

/** What a ping carries. */
export interface PingFields {
  /** The node that receives it. */
  readonly address: Address;
  /** Longest wait, milliseconds. */
  readonly timeoutMs: number;
}

const PING_FIELDS: FieldCodec<PingFields> = {
  encode: ({ address, timeoutMs }) => concatBytes(encodeAddress(address), u32(timeoutMs)),
  decode: (payload, name) => {
    if (payload.length < ADDRESS_BYTES + 4) return tooShort(`${name}: missing address or timeout`);
    const view = viewOf(payload);
    return {
      address: { network: view.getUint16(0), node: view.getUint32(2) },
      timeoutMs: view.getUint32(ADDRESS_BYTES),
    };
  },
};

/** Measures the round trip to a peer's daemon. */
export const PING: IpcCall<PingFields, IpcPingReply> = ipcCall({
  ...{ cmd: Cmd.Ping, name: "ping", isExtension: true, fields: PING_FIELDS },
});
