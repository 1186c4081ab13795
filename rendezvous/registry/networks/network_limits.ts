/**
 * Every bound of the networks, with its reason. `docs/LIMITS.md` repeats them.
 *
 * @module
 */

/** Network numbers are 16 bits on the wire and never given out twice (docs/protocol/registry.md §4.5). */
export const MAX_NETWORK_ID = 0xffff;
/** Members of one network, whatever its policy says: about 150 bytes each. */
export const MAX_MEMBERS = 100_000;
/** Memberships in all, about 150 bytes each: 300 MB at the very worst. */
export const MAX_MEMBERSHIPS = 2_000_000;
/** Networks of one node; a lookup lists them, and its binary form takes at most 1024. */
export const MAX_NETWORKS_PER_NODE = 256;
/** Characters of a network name: one DNS label. */
export const MAX_NETWORK_NAME = 63;
/** Characters of a join rule; the ones that mean something are shorter. */
export const MAX_JOIN_RULE = 32;
/** Characters of a join token and of a network's admin token. */
export const MAX_TOKEN = 256;
/** Tags of one member of a network. */
export const MAX_MEMBER_TAGS = 10;
/** Largest `max_members` a network policy may name; 0 is no limit of its own. */
export const MAX_POLICY_MEMBERS = 10_000;
/** Ports in the `allowed_ports` of a network policy. */
export const MAX_ALLOWED_PORTS = 100;
/** Bytes of a network policy's description. */
export const MAX_DESCRIPTION_BYTES = 256;
/** Bytes of a network's policy document as JSON; every member fetches it. */
export const MAX_EXPR_POLICY_BYTES = 64 * 1024;
/** Bytes of all policy documents together, which stay in memory. */
export const MAX_EXPR_POLICY_TOTAL_BYTES = 256 * 1024 * 1024;
/** Levels of arrays and objects in JSON of strangers that is stored; writing it out again recurses. */
export const MAX_JSON_DEPTH = 64;
/** Bytes of managed rules as sent in a text; the real ones have about 150. */
export const MAX_RULES_BYTES = 4 * 1024;
/** Invitations waiting for one node. */
export const MAX_INVITES = 100;
/** Invitations waiting in all, about 100 bytes each. */
export const MAX_INVITES_TOTAL = 200_000;
/** Nodes banned from one network. */
export const MAX_BANS = 10_000;
/** Bans in all networks together, about 100 bytes each. */
export const MAX_BANS_TOTAL = 1_000_000;
/** Seconds for which an invitation can be answered. */
export const INVITE_TTL_SECONDS = 30 * 86_400;
/** Nodes in one `list_nodes` reply: at about 250 bytes each they just fit the 4 MiB frame. Longer texts can exceed it sooner, which is an error, too. */
export const MAX_LISTED_NODES = 16_000;
/** Networks in one `list_networks` reply, for the same reason. */
export const MAX_LISTED_NETWORKS = 16_000;
