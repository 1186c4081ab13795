/**
 * Calls about trust (docs/protocol/local-socket.md §4).
 *
 * @module
 */

import { concatBytes, decodeText, encodeText, viewOf } from "../bytes.ts";
import { DecodeError } from "../errors.ts";
import { u32 } from "./integers.ts";
import {
  type FieldCodec,
  type IpcCall,
  ipcCall,
  NODE,
  type NoFields,
  NOTHING,
  tooShort,
} from "./ipc_call.ts";
import { Cmd } from "./ipc_frame.ts";
import type {
  IpcHandshakeStatus,
  IpcOpenHandshakes,
  IpcTrustedPeers,
  IpcWaitReply,
} from "./ipc_replies.ts";

/** Longest wait of {@linkcode AWAIT_TRUST}, milliseconds. */
export const IPC_HANDSHAKE_WAIT_MAX_MS = 30_000;

/** A node, and words for its people. */
export interface NodeAndText {
  /** Node id. */
  readonly node: number;
  /** UTF-8; empty for none. */
  readonly text: string;
}

const NODE_AND_TEXT: FieldCodec<NodeAndText> = {
  encode: ({ node, text }) => concatBytes(u32(node), encodeText(text)),
  decode: (payload, name) => {
    const node = NODE.decode(payload, name);
    if (node instanceof DecodeError) return node;
    const text = decodeText(payload.subarray(4));
    return text instanceof DecodeError ? text : { ...node, text };
  },
};

/** A node, and how long to wait for it. */
export interface NodeAndTimeout {
  /** Node id. */
  readonly node: number;
  /** At most {@linkcode IPC_HANDSHAKE_WAIT_MAX_MS}. */
  readonly timeoutMs: number;
}

const NODE_AND_TIMEOUT: FieldCodec<NodeAndTimeout> = {
  encode: ({ node, timeoutMs }) => concatBytes(u32(node), u32(timeoutMs)),
  decode: (payload, name) => {
    if (payload.length < 8) return tooShort(`${name}: missing node_id or timeout`);
    const view = viewOf(payload);
    return {
      node: view.getUint32(0),
      timeoutMs: Math.min(view.getUint32(4), IPC_HANDSHAKE_WAIT_MAX_MS),
    };
  },
};

const cmd = Cmd.Handshake;

/** Asks a node for trust. */
export const REQUEST_TRUST: IpcCall<NodeAndText, IpcHandshakeStatus> = ipcCall({
  ...{ cmd, sub: 1, name: "handshake request", fields: NODE_AND_TEXT },
});

/** Consents to a request. */
export const APPROVE_TRUST: IpcCall<{ readonly node: number }, IpcHandshakeStatus> = ipcCall({
  ...{ cmd, sub: 2, name: "handshake approve", fields: NODE },
});

/** Declines a request; the text is the reason. */
export const REJECT_TRUST: IpcCall<NodeAndText, IpcHandshakeStatus> = ipcCall({
  ...{ cmd, sub: 3, name: "handshake reject", fields: NODE_AND_TEXT },
});

/** Everything that is open. */
export const OPEN_HANDSHAKES: IpcCall<NoFields, IpcOpenHandshakes> = ipcCall({
  ...{ cmd, sub: 4, name: "handshake pending", fields: NOTHING },
});

/** The nodes that this node trusts. */
export const TRUSTED_PEERS: IpcCall<NoFields, IpcTrustedPeers> = ipcCall({
  ...{ cmd, sub: 5, name: "handshake trusted", fields: NOTHING },
});

/** Ends trust, or withdraws a request. */
export const REVOKE_TRUST: IpcCall<{ readonly node: number }, IpcHandshakeStatus> = ipcCall({
  ...{ cmd, sub: 6, name: "handshake revoke", fields: NODE },
});

/** Waits until a node is trusted. */
export const AWAIT_TRUST: IpcCall<NodeAndTimeout, IpcWaitReply> = ipcCall({
  ...{ cmd, sub: 7, name: "handshake wait", fields: NODE_AND_TIMEOUT },
});
