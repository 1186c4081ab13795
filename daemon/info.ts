/**
 * `info` and `health` (docs/protocol/local-socket.md §7), answered from memory.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { INFO_FEATURES, IPC_FEATURES } from "../protocol/ipc/features.ts";
import type {
  DaemonHealth,
  DaemonInfo,
  DaemonStatus,
  IpcConnInfo,
  IpcUdpStats,
  TrafficCounters,
} from "../protocol/ipc/ipc_replies.ts";
import type { PathReport } from "../protocol/path/mod.ts";
import type { UdpStats } from "../platform/net/udp.ts";
import { PilotError } from "../protocol/errors.ts";
import { type Endpoint, formatEndpoint } from "../protocol/ip.ts";
import { registryWarning } from "../platform/registry_exposure.ts";
import { VERSION } from "../platform/version.ts";
import type { Parts } from "./assemble.ts";
import type { NetworkStack } from "./network_stack.ts";
import type { Service } from "./service/service_port.ts";
import { clashText } from "../platform/identity_clash.ts";
import type { HostConn } from "./stream/host_conn.ts";

/** Entries of a list in one reply: an IPC frame holds 1 MiB. */
export const MAX_LISTED = 1_000;

/** What `info` and `health` look at. */
export interface InfoParts extends
  Pick<
    Parts,
    | "options"
    | "socket"
    | "aead"
    | "stack"
    | "trust"
    | "directory"
    | "registry"
    | "registration"
    | "client"
    | "finder"
  > {
  /** Milliseconds since the start. */
  readonly uptimeMs: number;
  /** The place for programs that do not know homes, when this daemon serves it. */
  readonly commonSocket: string | undefined;
  /** Where health and metrics are served, `host:port`. */
  readonly http: string | undefined;
  readonly services: readonly Service[];
}

/** Everything about a daemon. */
export function daemonInfo(daemon: InfoParts): DaemonInfo {
  const { directory, registration, registry, options, socket } = daemon;
  const { tunnels, streams } = daemon.stack;
  const peers = tunnels.list();
  const conns = [...streams.conns()];
  return {
    ...statusOf(daemon),
    node_id: daemon.registry.node,
    address: addressOf(daemon),
    hostname: directory.hostname,
    ...(directory.hostnameError === undefined ? {} : { hostname_error: directory.hostnameError }),
    tags: [...directory.tags],
    public: directory.isPublic,
    uptime_secs: daemon.uptimeMs / 1000,
    version: VERSION,
    pid: Deno.pid,
    home: options.home,
    socket: options.socket,
    common_socket: daemon.commonSocket ?? null,
    http: daemon.http ?? null,
    email: options.email ?? "",
    identity: true,
    public_key: registry.identity.publicKeyBase64,
    registration: registration.state,
    ...(registration.error === undefined ? {} : {
      registration_error: registration.error.message,
    }),
    registry: options.registry,
    registry_connected: daemon.client.isConnected,
    identity_clash: registry.clash ?? null,
    registry_tls: options.registryTls === true,
    registry_signed: options.registryKey !== undefined,
    registry_warning: registryWarning(options) ?? null,
    path_mode: options.pathMode ?? "auto",
    beacon_addr: options.beacon,
    beacon_endpoint: endpointText(tunnels.beacon.endpoint),
    beacon_answers: tunnels.beacon.isAnswering,
    endpoint: formatEndpoint(directory.observed ?? socket.local),
    endpoint_proven: tunnels.beacon.isProven,
    socket_kind: socket.kind,
    udp: udpStats(socket.stats),
    aead: daemon.aead.name,
    encrypt: true,
    connections: streams.size,
    ports: streams.boundPorts,
    networks: directory.networks(),
    ...trafficCounters(daemon),
    ...Object.assign({}, ...daemon.services.map((service) => service.info?.() ?? {})),
    peer_list: peers.slice(0, MAX_LISTED),
    peers_truncated: peers.length > MAX_LISTED,
    conn_list: conns.slice(0, MAX_LISTED).map(connInfo),
    conns_truncated: conns.length > MAX_LISTED,
    features: [...new Set([...INFO_FEATURES, ...IPC_FEATURES])],
  };
}

/** The short form. */
export function daemonHealth(daemon: InfoParts): DaemonHealth {
  return {
    ...statusOf(daemon),
    uptime_seconds: Math.floor(daemon.uptimeMs / 1000),
    node_id: daemon.registry.node,
    address: addressOf(daemon),
    registration: daemon.registration.state,
    connections: daemon.stack.streams.size,
    beacon_addr: daemon.options.beacon,
    beacon_answers: daemon.stack.tunnels.beacon.isAnswering,
    endpoint_proven: daemon.stack.tunnels.beacon.isProven,
    ...trafficCounters(daemon),
  };
}

/**
 * The paths to a peer.
 *
 * @throws {PilotError} `not_found` when there is no tunnel to it.
 */
export function pathTo(stack: Pick<NetworkStack, "tunnels">, node: number): PathReport {
  const report = stack.tunnels.describe(node);
  if (report !== undefined) return report;
  throw new PilotError("not_found", `There is no tunnel to node ${node}`, {
    advice: { id: "open_tunnel", node },
  });
}

/** "ok" when peers can find this node, and no other in its place, "degraded" with the reasons otherwise. */
function statusOf(daemon: InfoParts): DaemonStatus {
  const { clash } = daemon.registry;
  const twice = clash === undefined ? undefined : clashText(clash);
  const { hostnameError } = daemon.directory;
  const unnamed = hostnameError === undefined ? undefined : `no hostname: ${hostnameError}`;
  const reasons = [registrationProblem(daemon), twice, unnamed, beaconProblem(daemon)]
    .filter((reason) => reason !== undefined);
  return { status: reasons.length === 0 ? "ok" : "degraded", status_reasons: reasons };
}

function registrationProblem({ registration: { state, error } }: InfoParts): string | undefined {
  if (state === "registered") return undefined;
  const why = error === undefined ? "" : `: ${error.message}`;
  return state === "deregistered" ? "taken out of the registry" : `not registered yet${why}`;
}

function beaconProblem(daemon: InfoParts): string | undefined {
  const { beacon } = daemon.stack.tunnels;
  const name = daemon.options.beacon;
  if (name === "" || daemon.registry.node === 0) return undefined; // nobody is announced before the registration
  // Existing beacons take no proof: `endpoint_proven` says so, and only the polling is slower.
  if (beacon.isAnswering) return undefined;
  const asked = beacon.candidates.map(formatEndpoint).join(", ");
  if (asked === "") {
    return `the beacon ${name} has no address: ${daemon.finder?.error ?? "not known yet"}`;
  }
  const { stray } = beacon;
  return stray === undefined
    ? `the beacon ${name} does not answer at ${asked}: no relay and no hole punching`
    : `the beacon ${name} is asked at ${asked}, but answers from ${
      formatEndpoint(stray)
    }, which is not believed`;
}

function addressOf({ registry: { node } }: InfoParts): string {
  return node === 0 ? "" : formatAddress({ network: 0, node });
}

function udpStats(stats: UdpStats): IpcUdpStats {
  const { sent, received, dropped, errors } = stats;
  return {
    ...{ sent, received, dropped, errors: { ...errors } },
    sent_bytes: stats.sentBytes,
    received_bytes: stats.receivedBytes,
    send_calls: stats.sendCalls,
    receive_calls: stats.receiveCalls,
  };
}

function endpointText(endpoint: Endpoint | undefined): string {
  return endpoint === undefined ? "" : formatEndpoint(endpoint);
}

function trafficCounters(daemon: InfoParts): TrafficCounters {
  const { trust, socket } = daemon;
  const { tunnels } = daemon.stack;
  const peers = tunnels.list();
  return {
    peers: peers.length,
    encrypted_peers: peers.filter((peer) => peer.encrypted).length,
    authenticated_peers: peers.filter((peer) => peer.authenticated).length,
    relay_peer_count: peers.filter((peer) => peer.relay).length,
    handshake_pending_count: trust.pendingCount,
    bytes_sent: tunnels.stats.bytesSent,
    bytes_recv: tunnels.stats.bytesReceived,
    pkts_sent: tunnels.stats.packetsSent,
    pkts_recv: tunnels.stats.packetsReceived,
    datagrams_dropped: socket.stats.dropped,
    tunnel_encryption_success: tunnels.stats.encryptOk,
    tunnel_encryption_failure: tunnels.stats.encryptFail,
    plaintext_refused: tunnels.stats.plaintextRefused,
    replays_dropped: tunnels.stats.replaysDropped,
  };
}

/** Windows in bytes, as existing daemons have them. */
function connInfo(conn: HostConn): IpcConnInfo {
  const { window_slot_bytes: slotBytes, recv_win, peer_recv_win, ...stats } = conn.stats();
  return {
    id: conn.id,
    local_port: conn.localPort,
    remote_addr: formatAddress(conn.remoteAddress),
    remote_port: conn.remotePort,
    ...stats,
    recv_win: recv_win * slotBytes,
    peer_recv_win: peer_recv_win * slotBytes,
  };
}
