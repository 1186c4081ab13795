/**
 * Bounds of the local socket, each with its reason. All clients run as the daemon's own user, so these guard
 * against bugs and runaway scripts more than against attackers.
 *
 * @module
 */

/** Clients connected at once; the newest reference daemon has the same bound. Fewer where descriptors are few. */
export const MAX_CLIENTS = 1024;
/** Clients that are let in however few descriptors there are. */
export const MIN_CLIENTS = 8;
/**
 * Descriptors kept for all else, or an eighth of them if that is more: a daemon has about 30 open, and needs some for
 * the registry, files and clients that are being refused.
 */
export const RESERVED_DESCRIPTORS = 48;
/**
 * A client that has not sent one whole frame for this long makes room when a new one would find none, milliseconds:
 * a program greets as soon as it is connected.
 */
export const SILENT_CLIENT_MS = 5_000;
/** Refused clients that get a reason; further ones are just disconnected, so that refusing cannot be a load. */
export const MAX_REFUSALS = 64;
/** How long a refused client is listened to, so that it can read why, milliseconds: its first request is under way. */
export const REFUSAL_LINGER_MS = 1_000;
/** Least time between two lines in the log about refused clients, milliseconds. */
export const REFUSAL_LOG_INTERVAL_MS = 10_000;
/**
 * Bytes of begun frames of all clients: 32 of the largest. Above it the client whose frame has been incomplete for
 * longest is disconnected, of those that hold more than an equal share.
 */
export const MAX_PARTIAL_BYTES = 32 * 1024 * 1024;
/** Connections and dials under way per client; as the newest reference daemon. */
export const MAX_CONNS_PER_CLIENT = 4096;
/** Ports one client may bind; a program needs a handful, a leak must not eat the port space. */
export const MAX_BINDS_PER_CLIENT = 256;
/** Requests of one client being worked on; as the newest reference daemon. */
export const MAX_IN_FLIGHT = 1024;
/** Datagram bytes of one client waiting for a tunnel: 64 of the largest datagrams. */
export const MAX_DATAGRAM_BYTES_IN_FLIGHT = 4 * 1024 * 1024;
/** Send frames queued per connection above which its client is not read from: small ones cost more than their bytes. */
export const MAX_QUEUED_SENDS = 4096;
/**
 * Bytes of all clients waiting for streams to take them. One client may hold a third, two of them a quarter each, and
 * so on; above it a client is not read from, except that one window is always allowed. A third is more than our SDK
 * sends ahead when the peers of all its 4096 connections do not read.
 */
export const MAX_SEND_QUEUED_BYTES = 128 * 1024 * 1024;
/** Replies and notices queued for a client above which its requests are not read any more. */
export const REPLY_HIGH_BYTES = 1024 * 1024;
/** Replies and notices queued for a client above which it is disconnected: replies to requests in flight still come. */
export const REPLY_MAX_BYTES = 16 * 1024 * 1024;
/** Replies and notices of all clients that wait to be read; above it the client with the most is disconnected. */
export const MAX_REPLY_BYTES = 128 * 1024 * 1024;
/** Datagrams queued for a client above which further ones are dropped for it: datagrams are allowed to get lost. */
export const DATAGRAM_QUEUE_BYTES = 1024 * 1024;
/** Answered Sends that wait for each other while more of the client's Sends are queued: half of its window. */
export const LAZY_REPLIES = 4;
/** How long they wait at most, milliseconds: a program may wait for one of them before it continues. */
export const LAZY_REPLY_MS = 2;
/** Bytes of one write to a client's socket: most of a Linux socket buffer, so one system call carries many frames. */
export const WRITE_BUFFER_BYTES = 128 * 1024;
/** Stream bytes in one Recv frame, so that one connection does not fill a whole write while others wait. */
export const RECV_FRAME_BYTES = 64 * 1024;
/** First and largest size of a client's read buffer; it grows while reads fill it. */
export const READ_BUFFER_MIN_BYTES = 8 * 1024;
/** See {@linkcode READ_BUFFER_MIN_BYTES}. */
export const READ_BUFFER_MAX_BYTES = 128 * 1024;
/**
 * While a client's requests are not read because a peer does not take its data, it is asked this often whether it
 * is still there, milliseconds: a dead client's connections must not live on.
 */
export const PAUSE_PROBE_MS = 5_000;
/** After a client has gone, what it sent is still delivered while the peer takes some of it at least this often, milliseconds. */
export const LINGER_STALL_MS = 10_000;
/** Wait for a dial by a client without tags, milliseconds: below the 30 s after which existing drivers give up, so that a late answer cannot be taken for the next request's. */
export const UNTAGGED_DIAL_TIMEOUT_MS = 28_000;
/**
 * Bytes dropped from a peer that keeps sending after the client has closed; then the connection is reset. More than
 * a receive window, so a peer that merely had data under way never meets it.
 */
export const DISCARD_MAX_BYTES = 4 * 1024 * 1024;
/** Largest ping timeout taken from a client, milliseconds. */
export const MAX_PING_TIMEOUT_MS = 60_000;
/** Subscriptions to the daemon's events that one client may have: a program needs one or two. */
export const MAX_EVENT_SUBSCRIPTIONS = 16;
/**
 * Replies and events queued for a client above which events are missed by it, bytes: some 2000 events, for a client
 * that was busy. Half of what would keep its requests from being read.
 */
export const EVENT_QUEUE_BYTES: number = REPLY_HIGH_BYTES / 2;
/** Longest hostname passed on, bytes; DNS-like names are at most 253, the registry decides the rest. */
export const MAX_HOSTNAME_BYTES = 255;
/** Longest justification or reason of a handshake, bytes; the whole message must fit one segment of 1024. */
export const MAX_REASON_BYTES = 1024;
/** Largest number of tags: the registry's limit, so that there is one (docs/protocol/command-line.md §4). */
export const MAX_TAGS = 10;
/** Free write buffers kept for the next burst. */
export const POOLED_WRITE_BUFFERS = 8;

/** Refused clients that get a reason from such a process. See {@linkcode maxClients}. */
export function maxRefusals(descriptors: number | undefined): number {
  return Math.min(MAX_REFUSALS, (descriptors ?? Infinity) / 16);
}

/**
 * How many clients a process with so many descriptors lets in.
 *
 * @param descriptors Its limit; undefined where that is not known.
 */
export function maxClients(descriptors: number | undefined): number {
  if (descriptors === undefined) return MAX_CLIENTS;
  const reserved = Math.max(RESERVED_DESCRIPTORS, descriptors >> 3);
  return Math.min(MAX_CLIENTS, Math.max(MIN_CLIENTS, descriptors - reserved));
}
