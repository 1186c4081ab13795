/**
 * What the tunnel layer needs from its owner, and its constants. Every bound is listed in docs/LIMITS.md.
 *
 * @module
 */

import type { AeadFactory } from "../../protocol/crypto/aead.ts";
import type { KeyPair } from "../../protocol/crypto/key_agreement.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import type { Packet } from "../../protocol/packet.ts";
import type { PathMode, Route } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";
import type { BeaconNews } from "./beacon_link.ts";
import type { Log } from "../../platform/log.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";

/** Tunnels kept. A stranger can cause one by a valid key exchange; unproven ones are evicted first. */
export const MAX_PEERS = 65_536;
/** Key exchanges that we run at a time (docs/protocol/tunnel.md §4.8). */
export const MAX_KEX_PEERS = 256;
/** Waits between PILAs while a peer does not answer, ms; the last repeats (docs/protocol/tunnel.md §4.8). */
export const KEX_DELAYS_MS: readonly number[] = [250, 500, 1_000, 2_000, 4_000];
/** An exchange without success ends after this time. */
export const GIVE_UP_MS = 30_000;
/** Challenges sent to a new key while the old session lives. */
export const MAX_PROBES = 5;
/** Wait after the first challenge; grows by itself each time. */
export const PROBE_DELAY_MS = 250;
/** Tunnel keepalive: below the 30 s after which NAT mappings start to vanish (docs/protocol/paths.md §5). */
export const KEEPALIVE_MS = 25_000;
/** Pause before the first key goes through the relay, too, when there is an address to try: on a good path it is not needed. */
export const RELAY_STAGGER_MS = 30;
/**
 * Largest segment that is looked for. On loopback the portable socket carries two to three times as much with it as with
 * 8 KiB, the Linux one as much or more; of larger ones the 208 KiB that sockets buffer by default would hold only three.
 * Two fit into one GSO message.
 */
export const MAX_SEGMENT_BYTES = 32_400;
/** Path MTU probes answered, all peers together: an answer is smaller than the question, so this bounds work only. */
export const PATH_ANSWER_RATE = { perSecond: 1_000, burst: 1_000 } as const;
/** A tunnel that nobody needs is forgotten after this time. */
export const IDLE_PEER_MS = 10 * 60_000;
/** Housekeeping interval. */
export const SWEEP_MS = 5_000;
/**
 * PILAs sent in answer to frames that nobody authenticated, all senders together: bounds reflection
 * (docs/protocol/tunnel.md §4.9).
 */
export const REPLY_RATE = { perSecond: 50, burst: 100 } as const;
/** The same for one claimed sender, from addresses where it is known to be and from all others each. */
export const REPLY_RATE_PER_NODE = { perSecond: 1, burst: 2 } as const;
/** How often the registry is asked where a trusted peer is because frames in its name come from everywhere. */
export const LEARN_RATE_PER_NODE = { perSecond: 1, burst: 1 } as const;
/** The same for all peers together. */
export const LEARN_RATE = { perSecond: 5, burst: 20 } as const;
/**
 * Payload by which the holder of a new key is made to prove it (docs/protocol/tunnel.md §4.7); every known
 * implementation answers it.
 */
export const PROBE_PAYLOAD: Uint8Array = new TextEncoder().encode(
  "pathprobe.v1",
);

/** Counters of the tunnel layer. */
export interface TunnelStats {
  /** Frames opened. */
  encryptOk: number;
  /** Frames that would not open or held no packet. */
  encryptFail: number;
  /** Packets sealed and sent. */
  packetsSent: number;
  /** Packets received. */
  packetsReceived: number;
  /** Payload bytes sent. */
  bytesSent: number;
  /** Payload bytes received. */
  bytesReceived: number;
  /** Plaintext frames refused. */
  plaintextRefused: number;
  /** Authentic frames seen before. */
  replaysDropped: number;
}

/** Counters of a layer that has done nothing yet. */
export function newTunnelStats(): TunnelStats {
  return {
    encryptOk: 0,
    encryptFail: 0,
    packetsSent: 0,
    packetsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    plaintextRefused: 0,
    replaysDropped: 0,
  };
}

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

/** Where a peer may be reached. */
export interface Resolution {
  /** Its registered endpoint, if it has one. */
  readonly endpoint: Endpoint | undefined;
  /** LAN addresses worth trying. */
  readonly alternatives: readonly Endpoint[];
  /** Other public addresses that it names for itself. */
  readonly others?: readonly Endpoint[];
}

/** Whom this node trusts, as far as tunnels depend on it. */
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

/** The layer above, which starts the tunnel layer and is told what arrives. */
export interface TunnelUser {
  /**
   * An authentic packet for us; its payload is valid during the call only. `route` is the one that it came by;
   * `isBatch`: the socket will tell when the datagrams that are there have been handed over.
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
  /** What the beacon tells us of ourselves. */
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
  /** Which ways may be taken. Default `auto`. */
  readonly pathMode?: PathMode | undefined;
  /** Largest stream segment, 1152..65437 payload bytes. Default {@linkcode MAX_SEGMENT_BYTES}. */
  readonly maxSegmentBytes?: number | undefined;
  /** Lifecycle event (docs/protocol/local-socket.md §10). */
  readonly emit: Emit;
  /** Structured log. */
  readonly log: Log;
}
