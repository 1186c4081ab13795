/**
 * Times and bounds of the tunnel layer.
 *
 * @module
 */

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
/** Wait after the first challenge; each further one is longer by the same amount. */
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
