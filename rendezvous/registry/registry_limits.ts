/**
 * Every bound of the registry, with its reason. `docs/LIMITS.md` repeats them.
 *
 * @module
 */

/** Live and remembered nodes; node numbers are permanent, so this bounds the store (docs/protocol/registry.md §5). */
export const MAX_NODES = 1_000_000;
/** Seconds of silence after which a node counts as gone; five missed 60 s heartbeats. */
export const STALE_SECONDS = 300;
/** How often stale nodes are looked for, milliseconds. */
export const REAP_INTERVAL_MS = 10_000;
/** Nodes looked at per reap, so that one tick never stalls the loop. */
export const REAP_BATCH = 10_000;
/** Seconds for which the hostname of a node that went silent stays its own: nobody can wait for a crash and take the name. */
export const HOSTNAME_RESERVED_SECONDS = 30 * 86_400;

/** Nodes of which is remembered which processes speak for them, about 200 bytes each; beyond, who was silent for longest goes. */
export const MAX_INSTANCE_NODES = 200_000;
/** Processes remembered of one node; of more copies of an image some return before they are forgotten. */
export const MAX_INSTANCES_PER_NODE = 16;
/**
 * How long a process that is silent counts as alive, milliseconds, and how long a clash is reported after its last
 * turn.
 */
export const INSTANCE_TTL_MS = STALE_SECONDS * 1000;

/** Characters of a hostname: one DNS label. */
export const MAX_HOSTNAME = 63;
/** Tags per node. */
export const MAX_TAGS = 10;
/** Characters of a tag. */
export const MAX_TAG = 32;
/** Bytes of a handshake justification. */
export const MAX_JUSTIFICATION_BYTES = 1024;
/** Bytes of a signed handshake message that is relayed: what fits one segment of any path. */
export const MAX_HANDSHAKE_MESSAGE_BYTES = 1024;
/** Handshake requests, and separately answers, waiting for one node; beyond, the source with the most loses its oldest. */
export const MAX_INBOX = 100;
/** Of those, from one source address: nodes made by the dozen on one host leave room for those of others. */
export const MAX_INBOX_PER_SOURCE = 25;
/**
 * Handshake requests, and separately answers, waiting in all: at about 2.5 KB each, 500 MB at the very worst. Beyond,
 * the oldest of the source with the most makes room.
 */
export const MAX_INBOX_TOTAL = 100_000;
/** Seconds a relayed handshake waits for a node that does not come back: who was away for a quarter learns of revocations. */
export const INBOX_TTL_SECONDS = 90 * 86_400;
/** Trust pairs one node may report; the same as a daemon's own table of trusted peers. */
export const MAX_TRUST_PER_NODE = 65_536;
/** Trust pairs in all, about 150 bytes each. */
export const MAX_TRUST_PAIRS = 2_000_000;
/** Pairs of which one side only has said something, in all; beyond, the oldest is forgotten. They never take the room of the others. */
export const MAX_ONE_SIDED_PAIRS = 1_000_000;
/** How long who asked to reach a node counts as willing to be reached by it, milliseconds: a minute's poll and patience. */
export const FRESH_CONSENT_MS = 300_000;
/** Nodes that one node has lately asked for and that are remembered for it. */
export const MAX_FRESH_PER_NODE = 64;
/** The same in all, about 100 bytes each; who asked longest ago loses first. */
export const MAX_FRESH_CONSENTS = 500_000;
/** Members that are notified at once when the memberships of one node change; others find out when they ask again. */
export const MAX_VIEWERS_PER_NODE = 1_024;
/** The same of all nodes, about 100 bytes each. */
export const MAX_VIEWERS = 500_000;
/** How long such a member is remembered without looking again, milliseconds: longer than any idle connection lasts. */
export const VIEWER_TTL_MS = 3_600_000;
/**
 * How long a challenge for whole-request signatures counts on its connection, milliseconds: so long can somebody on the
 * path hold a signed request back. A node asks for the next one with a round trip, one heartbeat in ten.
 */
export const CHALLENGE_TTL_MS = 600_000;
/** Nodes remembered as having signed on one connection; a daemon is one, and programs for tests are several. */
export const MAX_NODES_PER_CONNECTION = 16;
/** Beacons in the directory; real clusters have a handful. */
export const MAX_BEACONS = 256;
/** Of one source address, unless they have the cluster's token: 32 addresses are needed to fill the table. */
export const MAX_BEACONS_PER_SOURCE = 8;
/** Seconds a beacon stays listed without registering again. */
export const BEACON_TTL_SECONDS = 60;

/** Polo scores stay between minus and plus this, and so does one step (docs/protocol/registry.md §4.7). */
export const MAX_POLO_SCORE = 1_000_000;
/**
 * Longest time for which a key can be declared good, seconds: ten years of 365 days (docs/protocol/registry.md §4.1).
 */
export const MAX_KEY_EXPIRY_SECONDS = 10 * 365 * 86_400;
/** Heartbeats warn when the key expires in less than this, seconds (docs/protocol/registry.md §4.1). */
export const KEY_EXPIRY_WARNING_SECONDS = 86_400;

/** Characters kept of an owner, a version and each address: free text of strangers that is stored for good. */
export const MAX_TEXT = 256;
/** LAN addresses kept per node. */
export const MAX_LAN_ADDRS = 16;

/** Addresses from which a live node was registered without a signature, and which it has not confirmed: the last ones. */
export const MAX_PENDING_PLACES = 4;

/** New node numbers one source address gets at once, and how many more each second. Loopback and known keys are exempt. */
export const NEW_NODES_BURST = 2_000;
/** See {@linkcode NEW_NODES_BURST}. */
export const NEW_NODES_PER_SECOND = 20;
/** Source addresses remembered for that count; the least recently seen is forgotten. */
export const MAX_TRACKED_SOURCES = 65_536;

/** Wrong tokens of one source that are looked at, at once; join tokens are counted for each network. */
export const WRONG_TOKENS_BURST = 10;
/** Wrong tokens a second of one source after that: 8,640 a day, nothing against 16 characters. */
export const WRONG_TOKENS_PER_SECOND = 0.1;
/** Seconds between two warnings about one source that guesses tokens. */
export const TOKEN_WARNING_SECONDS = 600;
/** Characters of the global admin token below which a server does not start: such a one is guessed. */
export const MIN_ADMIN_TOKEN = 8;
/** Characters of the global admin token below which a server warns at its start. */
export const GOOD_ADMIN_TOKEN = 16;

/** Simultaneous connections; about 20 KB each, so 2 GB at the very worst. */
export const MAX_CONNECTIONS = 100_000;
/** Simultaneous connections of one source address: many agents behind one NAT, but not the whole table. */
export const MAX_CONNECTIONS_PER_SOURCE = 2_048;
/** A connection without a request for this long is closed, milliseconds (docs/protocol/registry.md §1.6). */
export const IDLE_MS = 300_000;
/** A request that has begun must be complete within this time, milliseconds; stops trickled bytes. */
export const FRAME_MS = 30_000;
/** A reply must be taken by the client within this time, milliseconds; stops clients that do not read. */
export const WRITE_MS = 5_000;
/**
 * Bytes of a request. The largest that make sense carry a policy document of 64 KiB; replies may be longer. The worst JSON
 * of this size takes 5 ms to parse.
 */
export const MAX_REQUEST_BYTES = 72 * 1024;
/** Requests above so many bytes take turns (see {@linkcode PARSE_BYTES_PER_TURN}); usual ones have a tenth of it. */
export const LARGE_REQUEST_BYTES = 4 * 1024;
/** Bytes of large requests of all connections that are parsed before others get their turn: 8 ms at the very worst. */
export const PARSE_BYTES_PER_TURN = 128 * 1024;
/** TLS handshakes that begin before all others get their turn: 2 ms. Sources take turns, so a flood of one waits for itself. */
export const HANDSHAKES_PER_TURN = 4;
/** Bytes of begun requests held for all connections together. */
export const MAX_PARTIAL_BYTES = 64 * 1024 * 1024;
/** Bytes read from a connection at a time; most requests have fewer than 300. */
export const READ_BYTES = 2_048;
/** Requests of one connection that are answered before all others get their turn: about 1 ms of checking signatures. */
export const REQUESTS_PER_TURN = 8;
/** So many within this time, milliseconds, are without pause; 400 a second and fewer are never held up. */
export const TURN_WINDOW_MS = 20;
/** The rate guard looks at connections older than this, milliseconds. */
export const RATE_GUARD_AFTER_MS = 5_000;
/** Lifetime average, requests a second, above which each request waits {@linkcode RATE_DELAY_MS}. */
export const RATE_SLOW = 100;
/** Lifetime average, requests a second, above which the connection is closed. */
export const RATE_CLOSE = 500;
/** See {@linkcode RATE_SLOW}. */
export const RATE_DELAY_MS = 10;
