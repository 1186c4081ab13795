/**
 * The SDK: {@linkcode connect} gives a {@linkcode Driver}, the connection of a program to its local daemon.
 *
 * @module
 */

export { connect, type ConnectOptions } from "./connect.ts";
export type { CommonSocket } from "../platform/common_socket.ts";
export { Driver } from "./driver.ts";
export type { ListenOptions } from "./arrivals.ts";
export type {
  ConnEvent,
  InviteEvent,
  LifecycleEvent,
  LifecycleEventName,
  LifecycleEventOf,
  LifecycleEvents,
  NodeEvent,
  PeerEvent,
  RejectedEvent,
  SubscriberEvent,
} from "../protocol/lifecycle_events.ts";
export { Networks } from "./networks.ts";
export { RegistryEntry } from "./registry.ts";
export { Trust } from "./trust.ts";
export { Conn } from "./conn.ts";
export { Listener } from "./listener.ts";
export { type Datagram, DatagramReceiver } from "./datagrams.ts";
export { DaemonEvents, type EventsOptions } from "./daemon_events.ts";
export type { MessageReceipt, MessageType, SendMessageOptions } from "./messages.ts";
export type { FileProgress, FileReceipt, SendFileOptions } from "./files.ts";
export type { FileSource, StreamFile } from "./file_source.ts";
export { type SubscribeOptions, Subscription, type TopicEvent } from "./subscription.ts";
export {
  type NamedService,
  Names,
  type NamesDriver,
  type RegisterNameOptions,
} from "./nameserver_client.ts";
export type { Dialler } from "./messages.ts";
export type { NameProvider } from "../protocol/service/nameserver_text.ts";
export type { Target } from "./target.ts";
export type { AbortOptions, WaitOptions } from "./abort.ts";
export type {
  CandidateKind,
  CandidateReport,
  PathMode,
  PathReason,
  PathReport,
} from "../protocol/path/mod.ts";
export type {
  HostnameFields,
  InviteReply,
  JoinNetworkReply,
  ListedBan,
  ListedNetwork,
  ListedNode,
  LookupReply,
  MemberReply,
  NetworkReply,
  NodeFacts,
  NodeFields,
  NoFields,
  RespondInviteReply,
  RoleReply,
  SetTagsReply,
  SetVisibilityReply,
  TransferReply,
  WaitingInvite,
} from "../protocol/registry/requests/mod.ts";
export type { StreamState, StreamStats } from "../protocol/stream/mod.ts";
export type { Connector, Transport } from "./transport.ts";
export type {
  CommonHealthKey,
  CommonInfo,
  DaemonHealth,
  DaemonStatus,
  IpcConnInfo,
  IpcHandshakeStatus,
  IpcHandshakeTargetReply,
  IpcHealth,
  IpcInfo,
  IpcOpenHandshakes,
  IpcOutgoingHandshake,
  IpcPeerInfo,
  IpcPendingHandshake,
  IpcPingReply,
  IpcRefusedHandshake,
  IpcResolvedHostname,
  IpcTrustedPeer,
  IpcUdpStats,
  OwnInfo,
  TrafficCounters,
} from "../protocol/ipc/mod.ts";
