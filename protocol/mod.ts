/**
 * The Pilot protocol itself: bytes in, bytes out. No sockets, clocks, timers or randomness; runs in Deno, Node
 * and Bun. These names are stable: a change of one is a breaking change of the package. The rest of the protocol is
 * `./protocol/unstable`.
 *
 * @example Reading an address and what is sent to it
 * ```ts
 * import { decodePacket, DecodeError, formatAddress, parseAddress } from "@pilot-protocol/pilot/protocol";
 *
 * const address = parseAddress("0:0000.0000.0007");
 * console.log(formatAddress(address)); // 0:0000.0000.0007
 *
 * const packet = decodePacket(new Uint8Array(3));
 * if (packet instanceof DecodeError) console.log(packet.message);
 * ```
 *
 * @module
 */

export {
  ADVICE,
  type Advice,
  type AdviceFields,
  type AdviceId,
  adviceOf,
  type Advise,
} from "./advice.ts";
export {
  type Address,
  ADDRESS_BYTES,
  BROADCAST_NODE,
  decodeAddress,
  encodeAddress,
  formatAddress,
  formatSocketAddress,
  MAX_PORT,
  parseAddress,
  parsePort,
  parseSocketAddress,
  type SocketAddress,
} from "./address.ts";
export {
  type Decoded,
  DecodeError,
  type DecodeErrorKind,
  type ErrorCode,
  isErrorCode,
  PilotError,
  type PilotErrorOptions,
} from "./errors.ts";
export { type Endpoint, formatEndpoint, formatIp, parseEndpoint, parseIp } from "./ip.ts";
export {
  type ConnEvent,
  type Emit,
  type InviteEvent,
  isLifecycleEventName,
  LIFECYCLE_EVENT_NAMES,
  LIFECYCLE_EVENTS,
  type LifecycleEvent,
  type LifecycleEventLevel,
  type LifecycleEventName,
  type LifecycleEventOf,
  type LifecycleEvents,
  type NodeEvent,
  type PeerEvent,
  type RejectedEvent,
  type SubscriberEvent,
} from "./lifecycle_events.ts";
export {
  ACK,
  decodePacket,
  encodePacket,
  FIN,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type Packet,
  PACKET_VERSION,
  PROTO_CONTROL,
  PROTO_DATAGRAM,
  PROTO_STREAM,
  RST,
  SYN,
} from "./packet.ts";
export {
  EPHEMERAL_FIRST,
  EPHEMERAL_LAST,
  PORT_DATA_EXCHANGE,
  PORT_ECHO,
  PORT_EVENT_STREAM,
  PORT_HANDSHAKE,
  PORT_NAMESERVER,
  PORT_PING,
  PORT_SECURE,
  PORT_STDIO,
  PORT_TASKS,
} from "./well_known_ports.ts";
export { decodeBase64, encodeBase64 } from "./crypto/base64.ts";
export { Identity, verifySignature } from "./crypto/identity.ts";
export { decodeFrame, type PilaFields, type TunnelFrame } from "./tunnel/frame.ts";
export type {
  CandidateKind,
  CandidateReport,
  PathMode,
  PathReason,
  PathReport,
} from "./path/mod.ts";
export {
  ALL_TOPICS,
  DATA_EXCHANGE_MAX_BYTES,
  type DataFrame,
  DataType,
  dataTypeName,
  decodeTaggedMessage,
  encodeDataFrame,
  encodeEvent,
  encodeTaggedMessage,
  MAX_EVENT_BYTES,
  MAX_TOPIC_BYTES,
  type MessageTags,
  type StreamEvent as ServiceEvent,
} from "./service/mod.ts";
export {
  decodeNameReply,
  decodeNameRequest,
  encodeNameReply,
  encodeNameRequest,
  type NameProvider,
  type NameQuestion,
  type NameRecord,
  type NameReply,
  type NameRequest,
} from "./service/nameserver_text.ts";
export { decodeHandshake, encodeHandshake, type HandshakeMessage } from "./trust/mod.ts";
