/**
 * The protocol of the daemon's local socket (docs/protocol/local-socket.md): framing, command numbers, payload codecs,
 * our extensions and the JSON replies.
 *
 * @module
 */

export * from "./ipc_frame.ts";
export * from "./ipc_payload.ts";
export * from "./features.ts";
export * from "./ipc_call.ts";
export * from "./event_calls.ts";
export * from "./network_calls.ts";
export * from "./node_calls.ts";
export * from "./trust_calls.ts";
export * from "./ipc_extension.ts";
export type * from "./ipc_replies.ts";
export { decodeJson, decodeText, encodeJson, encodeText } from "../bytes.ts";
