/**
 * Every bound of the beacon, with its reason. `docs/LIMITS.md` repeats them.
 *
 * @module
 */

/** Nodes with an endpoint that nobody proved (docs/protocol/beacon.md §2), about 300 bytes each. */
export const MAX_MAPPINGS = 100_000;
/** Such nodes of one source address: agents behind one NAT, but not the whole table. */
export const MAX_MAPPINGS_PER_SOURCE = 10_000;
/** Nodes with a proven endpoint: every one the registry can know, so that a flood of others keeps none out. */
export const MAX_PROVEN_MAPPINGS = 1_000_000;
/** Time without a Discover after which a node is forgotten, milliseconds. */
export const MAPPING_TTL_MS = 600_000;
/**
 * Time for which a proof keeps the endpoint against announcements from elsewhere, milliseconds. Nodes prove it again
 * in half of it.
 */
export const PROOF_TTL_MS = 600_000;
/** How often the table is swept, milliseconds. */
export const MAPPING_SWEEP_MS = 60_000;
/** A cookie is good for one to two of these, milliseconds: slow paths and a lost datagram fit, and a copy soon is worthless. */
export const COOKIE_SLOT_MS = 10_000;
/** Signatures checked per second of one source address: 10,000 nodes behind one NAT that prove every 5 minutes need 34. */
export const VERIFY_PER_SECOND = 200;
/** Signatures of one silent source checked at once: agents of one NAT that come back together. */
export const VERIFY_BURST = 1_000;
/** Signatures checked per second in all: at 100 µs each a fifth of one core. */
export const VERIFY_TOTAL_PER_SECOND = 2_000;
/** Signatures checked at once after silence, in all. */
export const VERIFY_TOTAL_BURST = 2_000;
/** Signatures being checked at a time; more are dropped, and the nodes try again. */
export const MAX_PROOFS_PENDING = 256;
/** Relayed bytes per second of one source address, unless configured otherwise: less than the machine can do. */
export const RELAY_BYTES_PER_SECOND = 60_000_000;
/** What one silent source may relay at once, in seconds of its rate. */
export const RELAY_BURST_SECONDS = 0.5;
/** What a relayed datagram counts at least, bytes: small ones cost the machine as much as these. */
export const RELAY_MIN_COST = 600;
/** How many times the rate of an ordinary source another beacon has, which forwards for all its nodes. */
export const RELAY_PEER_FACTOR = 16;
/** Bytes that may be relayed to an unproven endpoint after each Relay or PunchRequest from there: old daemons answer what they get. */
export const UNPROVEN_CREDIT = 262_144;
/**
 * Bytes per second relayed to the unproven endpoints of one address beyond that: it may be a victim's, which a forger
 * named in a Discover.
 */
export const UNPROVEN_BYTES_PER_SECOND = 50_000;
/** Bytes of that at once, after silence: enough for key exchanges and the first messages. */
export const UNPROVEN_BURST = 524_288;
/** Answers per second to one source address: 10,000 nodes behind one NAT that discover every 25 s send 400. */
export const REPLIES_PER_SECOND = 1_000;
/** Answers to one silent source at once: a whole NAT of agents that come back together. */
export const REPLIES_BURST = 5_000;
/** Answers of the probe port per second to one source address: a person who runs netcheck, and colleagues behind the same NAT. */
export const PROBE_REPLIES_PER_SECOND = 20;
/** Such answers at once to a source that was silent. */
export const PROBE_REPLIES_BURST = 100;
/** Source addresses whose rate is remembered, in each table; the least recently seen is forgotten. */
export const MAX_SOURCES = 65_536;
/** Source addresses whose parsed form is kept, about 200 bytes each. */
export const MAX_PARSED_SOURCES = 16_384;
/** How long a verdict of the registry about a sender holds, milliseconds: longer than a tunnel's keepalive. */
export const INTRODUCTION_TTL_MS = 60_000;
/** Pairs of nodes remembered for that, about 100 bytes each; others cost a look at the registry's tables for each frame. */
export const MAX_INTRODUCTIONS = 65_536;
/** Nodes that are being woken; for more the next poll is soon enough. */
export const MAX_WAKES = 10_000;
/** When a wake is sent again if the node has not polled, milliseconds after the first. */
export const WAKE_REPEAT_MS: readonly number[] = [200, 1_000, 4_000, 10_000];
/** A repetition of v1.18's notice before this is left out, milliseconds: that daemon polls once in 2 s, and counts them. */
export const NOTIFY_REPEAT_FROM_MS = 2_500;
/** Other beacons, configured or listed by the registry. */
export const MAX_PEERS = 64;
/** Nodes in one Sync: what fits a UDP datagram. Others of a larger beacon are not reached through its peers. */
export const MAX_SYNCED_NODES = 16_000;
/** How often our nodes are sent to other beacons, milliseconds (docs/protocol/beacon.md §3). */
export const SYNC_INTERVAL_MS = 10_000;
/** Shortest time between two Syncs of a peer that are looked at, milliseconds: they are the expensive message. */
export const SYNC_MIN_MS = 1_000;
/** How long the nodes of a silent peer are remembered, milliseconds. */
export const SYNC_TTL_MS = 30_000;
/** How often the registry is asked for beacons, milliseconds (docs/protocol/beacon.md §3). */
export const LISTING_INTERVAL_MS = 30_000;
/** Longest time for that, milliseconds. */
export const LISTING_TIMEOUT_MS = 10_000;
