/**
 * JSON replies of the daemon over IPC (docs/protocol/local-socket.md §4, §7 and our extensions).
 *
 * @module
 */

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

/** A connection in {@linkcode IpcInfo}. */
export interface IpcConnInfo {
  /** Connection id. */
  id: number;
  /** Our port. */
  local_port: number;
  /** The peer. */
  remote_addr: string;
  /** The peer's port. */
  remote_port: number;
  /** State name, for example `ESTABLISHED`. */
  state: string;
  /** Congestion window, bytes. */
  cong_win: number;
  /** Slow-start threshold, bytes. */
  ssthresh: number;
  /** Bytes sent and not acknowledged. */
  in_flight: number;
  /** Smoothed round trip, milliseconds. */
  srtt_ms: number;
  /** Its variation, milliseconds. */
  rttvar_ms: number;
  /** Segments sent and not acknowledged. */
  unacked: number;
  /** Out-of-order segments held. */
  ooo_buf: number;
  /** Window the peer grants, bytes. */
  peer_recv_win: number;
  /** Window we grant, bytes. */
  recv_win: number;
  /** In loss recovery. */
  in_recovery: boolean;
  /** Stream bytes sent. */
  bytes_sent: number;
  /** Stream bytes received. */
  bytes_recv: number;
  /** Segments sent. */
  segs_sent: number;
  /** Segments received. */
  segs_recv: number;
  /** Segments sent again. */
  retransmits: number;
  /** Of those, by fast retransmit. */
  fast_retx: number;
  /** SACK blocks received. */
  sack_recv: number;
  /** SACK blocks sent. */
  sack_sent: number;
  /** Duplicate acknowledgements received. */
  dup_acks: number;
}

/** Reply to Info (§7). */
export interface IpcInfo {
  /** Our node number, 0 before the first registration. */
  node_id: number;
  /** Our address on network 0. */
  address: string;
  /** Our hostname, empty when none. */
  hostname: string;
  /** Seconds since the daemon started. */
  uptime_secs: number;
  /** Live connections. */
  connections: number;
  /** Bound ports. */
  ports: number;
  /** Peers with a path. */
  peers: number;
  /** Peers with a tunnel key. */
  encrypted_peers: number;
  /** Peers whose key is proven. */
  authenticated_peers: number;
  /** Encryption is on. */
  encrypt: boolean;
  /** An identity is loaded. */
  identity: boolean;
  /** Our Ed25519 public key, base64. */
  public_key: string;
  /** Contact e-mail, when set. */
  email?: string;
  /** Tunnel bytes sent. */
  bytes_sent: number;
  /** Tunnel bytes received. */
  bytes_recv: number;
  /** Tunnel packets sent. */
  pkts_sent: number;
  /** Tunnel packets received. */
  pkts_recv: number;
  /** Frames opened. */
  tunnel_encryption_success: number;
  /** Frames that did not open. */
  tunnel_encryption_failure: number;
  /** Trust requests that wait for us. */
  handshake_pending_count: number;
  /** Daemon version. */
  version: string;
  /** Networks we are in. */
  networks: { network_id: number; address: string }[];
  /** Peers. */
  peer_list: IpcPeerInfo[];
  /** Connections. */
  conn_list: IpcConnInfo[];
  /** Names of optional abilities. */
  features?: string[];
  /** `peer_list` was cut to fit the frame. */
  peers_truncated?: boolean;
  /** `conn_list` was cut to fit the frame. */
  conns_truncated?: boolean;
  /** Ours: another process that uses the same identity, its address and Unix seconds since which it is known. */
  identity_clash?: { addr: string; since: number } | null;
  /** Ours: its home directory. */
  home?: string;
  /** Ours: its socket. */
  socket?: string;
  /** Ours: the place for programs that know no homes, when it serves it. */
  common_socket?: string | null;
  /** Ours: where registration stands, `registering`, `registered` or `retrying`. */
  registration?: string;
  /** Ours: why the last attempt to register failed. */
  registration_error?: string;
  /** Ours: `host:port` of the registry. */
  registry?: string;
  /** Ours: the registry is spoken to over TLS, with a pinned certificate. */
  registry_tls?: boolean;
  /** Ours: the registry's answers must be signed with a pinned key. */
  registry_signed?: boolean;
  /** Ours: which ways to peers may be taken, `auto`, `relay-only` or `no-relay`. */
  path_mode?: string;
  /** `host:port` of the beacon. */
  beacon_addr?: string;
  /** `host:port` of the tunnel, as the beacon sees it. */
  endpoint?: string;
  /** Ours: anybody may reach this node. */
  public?: boolean;
  /** Ours: tags of this node. */
  tags?: string[];
  /** Ours: process id of the daemon. */
  pid?: number;
  /** The beacon has the daemon's proof for its endpoint. */
  endpoint_proven?: boolean;
  /** Ours: the UDP socket in use. */
  socket_kind?: string;
  /** Ours: the AES-256-GCM in use. */
  aead?: string;
}

/** Reply to Health (§7). */
export interface IpcHealth {
  /** `ok`; ours also say `degraded`, when others may not reach the node. */
  status: string;
  /** Ours: why it is `degraded`; empty for `ok`. */
  status_reasons?: string[];
  /** Whole seconds since the daemon started. */
  uptime_seconds: number;
  /** Live connections. */
  connections: number;
  /** Peers with a path. */
  peers: number;
  /** Tunnel bytes sent. */
  bytes_sent: number;
  /** Tunnel bytes received. */
  bytes_recv: number;
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
  /** Whom we asked. */
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

/** Reply to the handshake `wait` sub-command (§4). */
export interface IpcWaitReply {
  /** The peer. */
  node_id: number;
  /** Trusted by now. */
  trusted: boolean;
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
