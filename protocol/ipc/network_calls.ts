/**
 * Calls about networks, whose answers are the registry's (docs/protocol/local-socket.md §5).
 *
 * @module
 */

import { concatBytes, decodeJson, decodeText, encodeJson, encodeText, viewOf } from "../bytes.ts";
import { DecodeError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../registry/registry_message.ts";
import { u16, u32 } from "./integers.ts";
import {
  type FieldCodec,
  type IpcCall,
  ipcCall,
  type NoFields,
  NOTHING,
  tooShort,
} from "./ipc_call.ts";
import { Cmd } from "./ipc_frame.ts";

const NETWORK: FieldCodec<{ readonly network: number }> = {
  encode: ({ network }) => u16(network),
  decode: (payload, name) =>
    payload.length < 2
      ? tooShort(`${name}: missing network_id`)
      : { network: viewOf(payload).getUint16(0) },
};

/** A network and the token by which it is joined; empty for none. */
export interface NetworkAndToken {
  /** Network id. */
  readonly network: number;
  /** UTF-8; empty for none. */
  readonly token: string;
}

const NETWORK_AND_TOKEN: FieldCodec<NetworkAndToken> = {
  encode: ({ network, token }) => concatBytes(u16(network), encodeText(token)),
  decode: (payload, name) => {
    const network = NETWORK.decode(payload, name);
    if (network instanceof DecodeError) return network;
    const token = decodeText(payload.subarray(2));
    return token instanceof DecodeError ? token : { ...network, token };
  },
};

/** A network and a node. */
export interface NetworkAndNode {
  /** Network id. */
  readonly network: number;
  /** Node id. */
  readonly node: number;
}

const NETWORK_AND_NODE: FieldCodec<NetworkAndNode> = {
  encode: ({ network, node }) => concatBytes(u16(network), u32(node)),
  decode: (payload, name) => {
    if (payload.length < 6) return tooShort(`${name}: missing network_id or target_node_id`);
    const view = viewOf(payload);
    return { network: view.getUint16(0), node: view.getUint32(2) };
  },
};

/** A network and whether to join it. */
export interface NetworkAndAnswer {
  /** Network id. */
  readonly network: number;
  /** `true` joins it, `false` declines. */
  readonly accept: boolean;
}

const NETWORK_AND_ANSWER: FieldCodec<NetworkAndAnswer> = {
  encode: ({ network, accept }) => concatBytes(u16(network), Uint8Array.of(accept ? 1 : 0)),
  decode: (payload, name) =>
    payload.length < 3
      ? tooShort(`${name}: missing network_id or accept flag`)
      : { network: viewOf(payload).getUint16(0), accept: payload[2] === 1 },
};

/** A change of a network by role, or the release of this node's hold, by the registry's names. */
export interface ManageFields {
  /** Type of the registry's request. */
  readonly type: string;
  /** Its other fields. */
  readonly fields: JsonObject;
}

const MANAGE_FIELDS: FieldCodec<ManageFields> = {
  encode: ({ type, fields }) => encodeJson({ ...fields, type }),
  decode: (payload, name) => {
    const request = decodeJson(payload);
    if (!(request instanceof DecodeError) && isJsonObject(request)) {
      const { type, ...fields } = request;
      if (typeof type === "string") return { type, fields };
    }
    return new DecodeError("malformed", `${name}: not a JSON object with a type`);
  },
};

const cmd = Cmd.Network;

/** The networks that the registry knows. */
export const LIST_NETWORKS: IpcCall<NoFields, JsonObject> = ipcCall({
  ...{ cmd, sub: 1, name: "network list", fields: NOTHING },
});

/** Joins a network. */
export const JOIN_NETWORK: IpcCall<NetworkAndToken, JsonObject> = ipcCall({
  ...{ cmd, sub: 2, name: "network join", fields: NETWORK_AND_TOKEN },
});

/** Leaves a network. */
export const LEAVE_NETWORK: IpcCall<{ readonly network: number }, JsonObject> = ipcCall({
  ...{ cmd, sub: 3, name: "network leave", fields: NETWORK },
});

/** The members of a network. */
export const LIST_MEMBERS: IpcCall<{ readonly network: number }, JsonObject> = ipcCall({
  ...{ cmd, sub: 4, name: "network members", fields: NETWORK },
});

/** Invites a node to a network. */
export const INVITE: IpcCall<NetworkAndNode, JsonObject> = ipcCall({
  ...{ cmd, sub: 5, name: "network invite", fields: NETWORK_AND_NODE },
});

/** Invitations that wait for an answer. */
export const POLL_INVITES: IpcCall<NoFields, JsonObject> = ipcCall({
  ...{ cmd, sub: 6, name: "network poll-invites", fields: NOTHING },
});

/** Answers an invitation. */
export const RESPOND_INVITE: IpcCall<NetworkAndAnswer, JsonObject> = ipcCall({
  ...{ cmd, sub: 7, name: "network respond-invite", fields: NETWORK_AND_ANSWER },
});

/** Changes a network by role, or releases this node's hold. */
export const MANAGE_NETWORK: IpcCall<ManageFields, JsonObject> = ipcCall({
  ...{ cmd, sub: 0x40, name: "network manage", fields: MANAGE_FIELDS },
});
