/**
 * What the tunnel layer needs from its owner.
 *
 * @module
 */

import type { AeadFactory } from "../../protocol/crypto/aead.ts";
import type { KeyPair } from "../../protocol/crypto/key_agreement.ts";
import type { Packet } from "../../protocol/packet.ts";
import type { PathMode, Route } from "../../protocol/path/mod.ts";
import type { Resolution } from "../../protocol/tunnel/tunnel_host.ts";
import type { Clock } from "../../platform/clock.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";
import type { BeaconNews } from "./beacon_link.ts";
import type { Log } from "../../platform/log.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";

/** A peer as `info` shows it (docs/protocol/local-socket.md §7 `peer_list`). */
export interface PeerInfo {
  /** Node number. */
  node_id: number;
  /** `host:port`, or `(relay)`. */
  endpoint: string;
  /** A key is there. */
  encrypted: boolean;
  /** The peer has proven to hold it. */
  authenticated: boolean;
  /** The path goes through the beacon. */
  relay: boolean;
  /** Round trip of the probes on this path, ms; null when it was never probed. */
  rtt_ms: number | null;
  /** Milliseconds for which this path is in use. */
  since_ms: number | null;
  /** MTU of the path as far as it is proven, bytes with IP headers. */
  path_mtu: number;
  /** Payload bytes of a full stream segment. */
  mss: number;
}

/** The nodes that this node trusts, as far as tunnels depend on it. */
export interface TunnelConsent {
  /** Key of a trusted peer. */
  pinnedKey(node: number): Uint8Array | undefined;
  /** The peer is trusted by consent: its tunnel is kept up. */
  hasConsent(node: number): boolean;
  /** Trust in the node has ended not long ago: its tunnel is kept for some time. */
  isFormer(node: number): boolean;
}

/** Who may know that this node is here: all others get no answer. */
export interface TunnelVisibility {
  /** Undefined when the registry must be asked. */
  mayKnow(node: number): boolean | undefined;
  /** The same, asked; no when the registry is not there. */
  askMayKnow(node: number): Promise<boolean>;
}

/** The layer above, which starts the tunnel layer and receives what arrives. */
export interface TunnelUser {
  /**
   * An authentic packet for us; its payload is valid during the call only. `route` is the one that it came by;
   * `isBatch`: the socket will say when the pending datagrams have been handed over.
   */
  onPacket(packet: Packet, route: Route, isBatch: boolean): void;
  /** The peer proved a new key: its process is a new one. */
  onPeerRestarted(node: number): void;
  /**
   * Frames to the peer take another path, or the path carries other sizes, from now on; `isRepaired`: because the one
   * before is dead.
   */
  onPathChanged(node: number, isRepaired: boolean): void;
  /** Connections run over the tunnel. */
  hasConns(node: number): boolean;
  /** What the beacon reports about us. */
  readonly beacon: BeaconNews;
}

/** Injected into the tunnel layer. */
export interface TunnelDeps {
  readonly clock: Clock;
  readonly random: (out: Uint8Array) => void;
  readonly socket: UdpSocket;
  readonly keyPair: KeyPair;
  readonly aead: AeadFactory;
  readonly consent: TunnelConsent;
  readonly visibility: TunnelVisibility;
  /** The registry's key for a node; undefined when unknown; rejects when the registry cannot be asked. */
  readonly lookupKey: (node: number) => Promise<Uint8Array | undefined>;
  /** The registry's endpoint for a node; rejects with `untrusted`, `not_found`, `unavailable`. */
  readonly resolve: (node: number) => Promise<Resolution>;
  /** Which paths may be taken. Default `auto`. */
  readonly pathMode?: PathMode | undefined;
  /** Largest stream segment, 1152..65437 payload bytes. Default `MAX_SEGMENT_BYTES` of the protocol. */
  readonly maxSegmentBytes?: number | undefined;
  /** Lifecycle event (docs/protocol/local-socket.md §10). */
  readonly emit: Emit;
  /** Structured log. */
  readonly log: Log;
}
