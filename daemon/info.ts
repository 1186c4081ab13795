/**
 * `info` and `health` (daemon.md §7.7), answered from memory.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { formatEndpoint } from "../protocol/ip.ts";
import { registryWarning } from "../platform/registry_exposure.ts";
import type { Daemon } from "./daemon.ts";
import type { Json } from "./ipc/backend.ts";
import type { HostConn } from "./stream/host_conn.ts";

/** Entries of a list in one reply: an IPC frame holds 1 MiB. */
export const MAX_LISTED = 1_000;

/** Everything about a daemon. */
export function daemonInfo(daemon: Daemon): Json {
  const { tunnels, streams, directory, registration, options, socket } = daemon;
  const peers = tunnels.list();
  const conns = [...streams.conns()];
  return {
    node_id: daemon.node,
    address: daemon.address ?? "",
    hostname: directory.hostname,
    ...(directory.hostnameError === undefined ? {} : { hostname_error: directory.hostnameError }),
    tags: directory.tags,
    public: directory.isPublic,
    uptime_secs: daemon.uptimeSeconds,
    version: daemon.version,
    pid: Deno.pid,
    email: options.email ?? "",
    identity: true,
    public_key: daemon.publicKey,
    registration: registration.state,
    ...(registration.error === undefined ? {} : {
      registration_error: registration.error.message,
    }),
    registry: options.registry,
    registry_connected: daemon.isRegistryConnected,
    registry_tls: options.registryTls === true,
    registry_signed: options.registryKey !== undefined,
    registry_warning: registryWarning(options) ?? null,
    path_mode: options.pathMode ?? "auto",
    beacon_addr: options.beacon,
    endpoint: formatEndpoint(directory.observed ?? socket.local),
    endpoint_proven: tunnels.beacon.isProven,
    socket_kind: socket.kind,
    udp: { ...socket.stats },
    aead: daemon.aead,
    encrypt: true,
    connections: streams.size,
    ports: streams.boundPorts,
    networks: directory.networks(),
    ...trafficCounters(daemon),
    ...Object.assign({}, ...daemon.services.map((service) => service.info?.())),
    peer_list: peers.slice(0, MAX_LISTED),
    peers_truncated: peers.length > MAX_LISTED,
    conn_list: conns.slice(0, MAX_LISTED).map(connInfo),
    conns_truncated: conns.length > MAX_LISTED,
    features: ["tagged_requests", "recv_credit", "dgram_bound"],
  };
}

/** The short form. */
export function daemonHealth(daemon: Daemon): Json {
  return {
    status: "ok",
    uptime_seconds: Math.floor(daemon.uptimeSeconds),
    node_id: daemon.node,
    address: daemon.address ?? "",
    registration: daemon.registration.state,
    connections: daemon.streams.size,
    beacon_addr: daemon.options.beacon,
    ...trafficCounters(daemon),
  };
}

function trafficCounters(daemon: Daemon): Json {
  const { tunnels, trust, socket } = daemon;
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

function connInfo(conn: HostConn): Json {
  return {
    id: conn.id,
    local_port: conn.localPort,
    remote_addr: formatAddress(conn.remoteAddress),
    remote_port: conn.remotePort,
    ...conn.stats(),
  };
}
