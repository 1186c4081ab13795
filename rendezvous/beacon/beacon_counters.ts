/**
 * What a beacon counts. The names are stable: they are shown to operators.
 *
 * @module
 */

/** Counts since the start. */
export interface BeaconCounters {
  /** Announcements noted or answered. */
  discovers: number;
  /** Announcements not noted because the node has a proven endpoint elsewhere. */
  discovers_refused: number;
  /** Cookies given out. */
  cookies: number;
  /** Endpoints proven. */
  proofs: number;
  /** Proofs with a wrong cookie, an unknown node or a wrong signature. */
  proofs_refused: number;
  /** Introductions. */
  punches: number;
  /** Datagrams relayed to nodes. */
  relayed: number;
  /** Bytes of them, as they came. */
  relayed_bytes: number;
  /** Datagrams forwarded to other beacons. */
  forwarded: number;
  /** Datagrams for nodes that are not known. */
  relay_unknown: number;
  /** Datagrams in the name of a node that is proven to be elsewhere. */
  relay_refused: number;
  /** Datagrams not relayed because the address of the receiver is not proven. */
  relay_unproven: number;
  /** Relayed datagrams dropped: the target does not let the sender in. */
  relay_strangers: number;
  /** Wakes sent, repetitions included. */
  wakes: number;
  /** Syncs of peers that counted. */
  syncs: number;
  /** Messages above a rate limit. */
  limited: number;
  /** Messages with no sense for a beacon. */
  ignored: number;
}

/** State of a beacon for operators. */
export interface BeaconHealth extends Readonly<BeaconCounters> {
  /** Nodes with a known endpoint. */
  readonly nodes: number;
  /** Those of them whose endpoint was proven. */
  readonly nodes_proven: number;
  /** Other beacons. */
  readonly peers: number;
  /** Nodes that other beacons have. */
  readonly peer_nodes: number;
  /** Nodes being woken. */
  readonly wakes_pending: number;
}

/** Counters of a beacon that has done nothing yet. */
export function newBeaconCounters(): BeaconCounters {
  return {
    discovers: 0,
    discovers_refused: 0,
    cookies: 0,
    proofs: 0,
    proofs_refused: 0,
    punches: 0,
    relayed: 0,
    relayed_bytes: 0,
    forwarded: 0,
    relay_unknown: 0,
    relay_refused: 0,
    relay_unproven: 0,
    relay_strangers: 0,
    wakes: 0,
    syncs: 0,
    limited: 0,
    ignored: 0,
  };
}
