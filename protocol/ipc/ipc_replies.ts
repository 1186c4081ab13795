/**
 * JSON replies of the daemon over IPC (docs/protocol/local-socket.md §4, §7 and our extensions).
 *
 * @module
 */

import type { StreamStats } from "../stream/stream_stats.ts";

/** A peer in {@linkcode IpcInfo}. */
export interface IpcPeerInfo {
  /** The peer. */
  node_id: number;
  /** `ip:port`, or `(relay)` when it is only reached through the beacon. */
  endpoint: string;
  /** A tunnel key is in place. */
  encrypted: boolean;
  /** The key was proven with the peer's identity. */
  authenticated: boolean;
  /** Traffic goes through the beacon now. */
  relay?: boolean;
  /** Ours: round trip of the probes on this path, milliseconds; null when it was never probed. */
  rtt_ms?: number | null;
  /** Ours: milliseconds for which this path is in use. */
  since_ms?: number | null;
  /** Ours: largest IP packet that the path has proven to carry, bytes. */
  path_mtu?: number;
  /** Ours: payload bytes of a full stream segment on this path. */
  mss?: number;
}

/** A connection in {@linkcode IpcInfo}; windows are bytes, as existing daemons have them. */
export interface IpcConnInfo extends Omit<StreamStats, "window_slot_bytes"> {
  /** Connection id. */
  id: number;
  /** Our port. */
  local_port: number;
  /** The peer. */
  remote_addr: string;
  /** The peer's port. */
  remote_port: number;
}

/** Counters of the UDP socket in {@linkcode OwnInfo}. */
export interface IpcUdpStats {
  /** Datagrams the kernel took. */
  sent: number;
  /** Bytes the kernel took. */
  sent_bytes: number;
  /** Datagrams received. */
  received: number;
  /** Bytes received. */
  received_bytes: number;
  /** Datagrams that could not be sent: refused by the kernel, no room, no usable destination, socket closed. */
  dropped: number;
  /** Calls that sent something. */
  send_calls: number;
  /** Calls that received something. */
  receive_calls: number;
  /** Errors of the kernel by name, such as `{ENOBUFS: 3}`. */
  errors: Record<string, number>;
}

/** What the traffic of a daemon comes to. */
export interface TrafficCounters {
  /** Peers with a path. */
  peers: number;
  /** Peers with a tunnel key. */
  encrypted_peers: number;
  /** Peers whose key is proven. */
  authenticated_peers: number;
  /** Peers that are reached through the beacon now. */
  relay_peer_count: number;
  /** Trust requests that wait for us. */
  handshake_pending_count: number;
  /** Payload bytes of packets sent. */
  bytes_sent: number;
  /** Payload bytes of packets received. */
  bytes_recv: number;
  /** Tunnel packets sent. */
  pkts_sent: number;
  /** Tunnel packets received. */
  pkts_recv: number;
  /** Datagrams that the UDP socket has dropped. */
  datagrams_dropped: number;
  /** Frames opened. */
  tunnel_encryption_success: number;
  /** Frames that did not open. */
  tunnel_encryption_failure: number;
  /** Plaintext frames refused. */
  plaintext_refused: number;
  /** Authentic frames seen before, dropped. */
  replays_dropped: number;
}

/** Whether peers can find this node, and no other in its place. */
export interface DaemonStatus {
  /** `ok`, or `degraded` with reasons. */
  status: "ok" | "degraded";
  /** Why it is `degraded`; empty for `ok`. */
  status_reasons: string[];
}

/** What `info` of every daemon has (§7). */
export interface CommonInfo extends
  Pick<
    TrafficCounters,
    | "peers"
    | "encrypted_peers"
    | "authenticated_peers"
    | "bytes_sent"
    | "bytes_recv"
    | "pkts_sent"
    | "pkts_recv"
    | "tunnel_encryption_success"
    | "tunnel_encryption_failure"
    | "handshake_pending_count"
  > {
  /** Our node number, 0 before the first registration. */
  node_id: number;
  /** Our address on network 0; empty before the first registration. */
  address: string;
  /** Our hostname, empty when none. */
  hostname: string;
  /** Seconds since the daemon started. */
  uptime_secs: number;
  /** Live connections. */
  connections: number;
  /** Bound ports. */
  ports: number;
  /** Encryption is on. */
  encrypt: boolean;
  /** An identity is loaded. */
  identity: boolean;
  /** Our Ed25519 public key, base64. */
  public_key: string;
  /** Daemon version. */
  version: string;
  /** Networks we are in. */
  networks: { network_id: number; address: string }[];
  /** Peers. */
  peer_list: IpcPeerInfo[];
  /** Connections. */
  conn_list: IpcConnInfo[];
}

/** What `info` of our daemon has besides. */
export interface OwnInfo extends DaemonStatus, Omit<TrafficCounters, keyof CommonInfo> {
  /** Why the registry refuses the hostname that was asked for; absent when it does not. */
  hostname_error?: string;
  /** Contact e-mail, empty when none. */
  email: string;
  /** Names of optional abilities. */
  features: string[];
  /** `peer_list` was cut. */
  peers_truncated: boolean;
  /** `conn_list` was cut. */
  conns_truncated: boolean;
  /** Another process that uses the same identity, its address and Unix seconds since which it is known. */
  identity_clash: { addr: string; since: number } | null;
  /** Its home directory. */
  home: string;
  /** Its socket. */
  socket: string;
  /** The place for programs that do not know homes, when it serves it. */
  common_socket: string | null;
  /** Where health and metrics are served, `host:port`. */
  http: string | null;
  /** State of the registration: `registering`, `registered`, `retrying` or `deregistered`. */
  registration: string;
  /** Why the last attempt to register failed; absent when it did not. */
  registration_error?: string;
  /** `host:port` of the registry. */
  registry: string;
  /** There is a connection to the registry. */
  registry_connected: boolean;
  /** The registry is spoken to over TLS, with a pinned certificate. */
  registry_tls: boolean;
  /** The registry's answers must be signed with a pinned key. */
  registry_signed: boolean;
  /** What is unsafe about the connection to the registry. */
  registry_warning: string | null;
  /** Which paths to peers may be taken: `auto`, `relay-only` or `no-relay`. */
  path_mode: string;
  /** `host:port` of the beacon, as configured. */
  beacon_addr: string;
  /** `ip:port` of the beacon in use; empty before one is known. */
  beacon_endpoint: string;
  /** The beacon answers. */
  beacon_answers: boolean;
  /** `host:port` of the tunnel, as the beacon sees it. */
  endpoint: string;
  /** The beacon has verified that the endpoint is ours. */
  endpoint_proven: boolean;
  /** Anyone may reach this node. */
  public: boolean;
  /** Tags of this node. */
  tags: string[];
  /** Process id of the daemon. */
  pid: number;
  /** The UDP socket in use. */
  socket_kind: string;
  /** Its counters. */
  udp: IpcUdpStats;
  /** The AES-256-GCM in use. */
  aead: string;
  /** Subscribers of the broker; absent without one. */
  event_subscribers?: number;
  /** Subscribers dropped because they did not keep up; absent without a broker. */
  event_overruns?: number;
}

/** `info` as our daemon sends it. */
export interface DaemonInfo extends CommonInfo, OwnInfo {}

/** Reply to Info (§7): existing daemons have none of {@linkcode OwnInfo}. */
export interface IpcInfo extends CommonInfo, Partial<OwnInfo> {}

/** `health` as our daemon sends it. */
export interface DaemonHealth extends DaemonStatus, TrafficCounters {
  /** Whole seconds since the daemon started. */
  uptime_seconds: number;
  /** Our node number, 0 before the first registration. */
  node_id: number;
  /** Our address on network 0; empty before the first registration. */
  address: string;
  /** See {@linkcode OwnInfo}. */
  registration: string;
  /** Live connections. */
  connections: number;
  /** See {@linkcode OwnInfo}. */
  beacon_addr: string;
  /** See {@linkcode OwnInfo}. */
  beacon_answers: boolean;
  /** See {@linkcode OwnInfo}. */
  endpoint_proven: boolean;
}

/** What `health` of every daemon has besides `status`. */
/** What daemons of every implementation count. */
export type CommonHealthKey =
  | "uptime_seconds"
  | "connections"
  | "peers"
  | "bytes_sent"
  | "bytes_recv";

/** Reply to Health (§7): existing daemons have `status`, `uptime_seconds` and the four counters alone. */
export interface IpcHealth
  extends
    Partial<Omit<DaemonHealth, "status" | CommonHealthKey>>,
    Pick<DaemonHealth, CommonHealthKey> {
  /** `ok`; ours also say `degraded`, when others may not reach the node. */
  status: string;
}

/** Reply to a handshake request, approval, rejection or revocation (§4). */
export interface IpcHandshakeStatus {
  /** What became of it: sent, in_flight, approved, rejected, revoked. */
  status: string;
  /** The peer. */
  node_id: number;
  /** Ours: trust is mutual already, although the status says "sent" for drivers that know nothing else. */
  already_trusted?: boolean;
  /** The node had asked for trust itself: it is trusted now (our extension). */
  granted?: boolean;
  /** A revocation took back a request of ours: the node was not trusted (our extension). */
  withdrawn?: boolean;
}

/** A trust request that waits for us (§4). */
export interface IpcPendingHandshake {
  /** Who asks. */
  node_id: number;
  /** Its Ed25519 public key, base64. */
  public_key: string;
  /** Why it asks. */
  justification: string;
  /** When it arrived, unix seconds. */
  received_at: number;
}

/** A request of ours that waits for an answer (our extension). */
export interface IpcOutgoingHandshake {
  /** The node that we asked. */
  node_id: number;
  /** When, unix seconds. */
  requested_at: number;
}

/** A request of ours that was refused (our extension). */
export interface IpcRefusedHandshake {
  /** Who refused. */
  node_id: number;
  /** Its words; may be empty. */
  reason: string;
  /** When the refusal arrived, unix seconds. */
  refused_at: number;
}

/** Reply to the handshake `pending` sub-command (§4); the other lists are our extension. */
export interface IpcOpenHandshakes {
  /** Requests that wait for us. */
  pending: IpcPendingHandshake[];
  /** Ours that wait for an answer. */
  outgoing: IpcOutgoingHandshake[];
  /** Ours that were refused since the daemon's start. */
  refused: IpcRefusedHandshake[];
}

/** A trusted peer (§4). */
export interface IpcTrustedPeer {
  /** The peer. */
  node_id: number;
  /** Its Ed25519 public key, base64. */
  public_key: string;
  /** When trust began, unix seconds. */
  approved_at: number;
  /** Both sides asked or accepted. */
  mutual: boolean;
  /** Network that led to trust, 0 for none. */
  network: number;
  /** Its hostname, empty where it is not known (our extension). */
  hostname?: string;
}

/** Reply to the handshake `trusted` sub-command (§4). */
export interface IpcTrustedPeers {
  /** The peers; null instead of none from some daemons. */
  trusted: IpcTrustedPeer[] | null;
}

/** Reply to the handshake `wait` sub-command (§4). */
export interface IpcWaitReply {
  /** The peer. */
  node_id: number;
  /** Trusted by now. */
  trusted: boolean;
}

/** Reply to ResolveHostname (§2). */
export interface IpcResolvedHostname {
  /** The node with that hostname. */
  node_id: number;
  /** Its address on network 0. */
  address: string;
  /** Anyone may resolve it; absent from memory. */
  public?: boolean;
  /** The name. */
  hostname?: string;
  /** Ours: the registry is away; this is what it said before. */
  cached?: boolean;
}

/** Reply to Ping (our extension). */
export interface IpcPingReply {
  /** Round trip over the tunnel, milliseconds. */
  rtt_ms: number;
  /** It went through the beacon. */
  relayed: boolean;
}

/** Reply to HandshakeTarget (our extension). */
export interface IpcHandshakeTargetReply {
  /** The node with that hostname. */
  node_id: number;
  /** Its address on network 0. */
  address: string;
}
