/**
 * Every bound of the beacon, with its reason. `docs/LIMITS.md` repeats them.
 *
 * @module
 */

/** Nodes with a known endpoint (rendezvous.md §10), about 300 bytes each. */
export const MAX_MAPPINGS = 100_000;
/** Nodes of one source address: agents behind one NAT, but not the whole table. */
export const MAX_MAPPINGS_PER_SOURCE = 10_000;
/** Time without a Discover after which a node is forgotten, milliseconds. */
export const MAPPING_TTL_MS = 600_000;
/** How often that is looked for, milliseconds. */
export const MAPPING_SWEEP_MS = 60_000;
/** Relayed datagrams per second of one source address: 60 MB/s of full frames, less than the machine can do. */
export const RELAY_PER_SECOND = 50_000;
/** Relayed datagrams one silent source may send at once. */
export const RELAY_BURST = 25_000;
/** Answers per second to one source address: 10,000 nodes behind one NAT that discover every 25 s send 400. */
export const REPLIES_PER_SECOND = 1_000;
/** Answers to one silent source at once: a whole NAT of agents that come back together. */
export const REPLIES_BURST = 5_000;
/** Source addresses whose rate is remembered, each in both tables; the least recently seen is forgotten. */
export const MAX_SOURCES = 65_536;
/** Pause after a failed receive, milliseconds, so that a broken socket does not spin. */
export const RECEIVE_RETRY_MS = 100;
