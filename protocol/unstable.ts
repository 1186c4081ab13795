/**
 * Everything of the protocol, for programs that accept that names and shapes change with any version. What stays as it
 * is stands in `./protocol`.
 *
 * @module
 */

export * from "./address.ts";
export * from "./beacon/beacon_message.ts";
export { ByteQueue } from "./bytes.ts";
export * from "./crypto/mod.ts";
export * from "./errors.ts";
export * from "./tunnel/frame.ts";
export * from "./frame_reader.ts";
export * from "./ip.ts";
export * from "./lifecycle_events.ts";
export * from "./ipc/mod.ts";
export * from "./service/nameserver_text.ts";
export * from "./packet.ts";
export * from "./path/mod.ts";
export * from "./well_known_ports.ts";
export * from "./registry/registry_message.ts";
export * as registryRequests from "./registry/requests/mod.ts";
export * from "./registry/signed_answer.ts";
export * from "./service/mod.ts";
export * from "./stream/mod.ts";
export * from "./trust/mod.ts";

// What calls of the local socket answer in the registry's words.
export type {
  HostnameFields,
  LookupReply,
  NodeFacts,
  NodeFields,
  SetTagsReply,
  SetVisibilityReply,
} from "./registry/requests/mod.ts";

// Names that two parts use, each right in its place: the plain name goes to the wire's own, the other gets a prefix.
export type { StreamEvent } from "./stream/mod.ts";
export type { StreamEvent as ServiceEvent } from "./service/mod.ts";
export { decodeHandshake, encodeHandshake } from "./trust/mod.ts";
