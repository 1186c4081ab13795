/**
 * Options of a stream and every constant of the stream layer, each with its reason (docs/protocol/streams.md §1).
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import type { CongestionControl } from "./congestion.ts";
import { Cubic } from "./cubic.ts";
import { StreamMemory } from "./stream_memory.ts";

/**
 * Payload bytes of a segment that survive every path, relayed ones included (docs/protocol/streams.md §1,
 * docs/protocol/paths.md §4).
 */
export const DEFAULT_MSS_BYTES = 1152;
/** Smallest segment size accepted: below it headers outweigh data. */
export const MIN_MSS_BYTES = 64;
/** Largest payload a packet can say, less nothing: a segment is one packet. */
export const MAX_MSS_BYTES = 0xffff;
/** Bytes a window slot stands for with older peers: the largest segment they send (docs/protocol/streams.md §2.3). */
export const SLOT_BYTES = 4096;
/**
 * Bytes a window slot stands for between two of our kind, where both sides count bytes: 65,535 slots are 75 MB. A
 * slot is one default segment, so a peer that counts segments means the same.
 */
export const OWN_SLOT_BYTES = DEFAULT_MSS_BYTES;
/** Receive window at first, bytes: several round trips of slow start, until its growth can be measured. */
export const RECV_WINDOW_START_BYTES = 256 << 10;
/**
 * Bytes that a stream may receive however little shared memory is left, two segments of jumbo frames: what is promised
 * must be taken, for what is dropped comes again only after a timeout.
 */
export const LEAST_RECV_WINDOW_BYTES = 24 << 10;
/** Send buffer at first, bytes; it grows with the congestion window. */
export const SEND_BUFFER_START_BYTES = 256 << 10;
/** What a segment held out of order costs beyond its bytes, about: a view, its buffer, a place in a list. */
export const EARLY_SEGMENT_OVERHEAD_BYTES = 128;
/**
 * Out-of-order segments an older peer holds; more in flight is silently dropped there (docs/protocol/streams.md §5.7).
 */
export const REFERENCE_IN_FLIGHT_SEGMENTS = 128;
/**
 * Slots advertised to older peers, and in a SYN, before the peer is known: they burst a whole window unpaced, and
 * 128 * 4096 B = 512 KiB is what a UDP socket buffer is likely to take (docs/protocol/streams.md §2.3).
 */
export const REFERENCE_WINDOW_SLOTS = 128;
/** Slots a SYN announces: nothing is known of the peer yet. */
export const SYN_WINDOW_SLOTS = REFERENCE_WINDOW_SLOTS;
/** Segments in flight at most: bounds the table of sent segments; more than 16 MiB at the default segment size. */
export const MAX_IN_FLIGHT_SEGMENTS = 16_384;
/** Retransmissions without any progress before the peer is given up (docs/protocol/streams.md §1). */
export const MAX_RETRANSMISSIONS = 8;
/** First retransmission of SYN and SYN-ACK; then doubling (docs/protocol/streams.md §1, newest peers). */
export const HANDSHAKE_RETRY_MS = 250;
/** Longest pause between two SYNs. */
export const HANDSHAKE_RETRY_MAX_MS = 4_000;
/** First zero-window probe; then doubling (docs/protocol/streams.md §2.4). */
export const PERSIST_MIN_MS = 200;
/** Longest pause between two zero-window probes. */
export const PERSIST_MAX_MS = 5_000;
/** Tail loss probes wait at least this long: timers and collectors pause that long without a loss. */
export const MIN_TAIL_PROBE_MS = 10;
/** Longest delayed ACK of any peer, awaited while a single segment is in flight (docs/protocol/streams.md §1). */
export const PEER_DELAYED_ACK_MS = 40;
/** Segments acknowledged at once after the start, so that slow start is not held up (docs/protocol/streams.md §5.2). */
export const QUICK_ACK_SEGMENTS = 32;
/** Answers to an older peer's keepalive: one per this time (docs/protocol/streams.md §8.1). */
export const KEEPALIVE_ANSWER_MS = 10_000;
/** Answers to a probe of our closed window: one per this time, which is 5 a second (docs/protocol/streams.md §2.4). */
export const WINDOW_ANSWER_MS = 200;
/** A peer silent for a keepalive interval plus this gets a probe that it must answer. */
export const PROBE_INTERVAL_MS = 5_000;
/** After the peer process restarted: time it has to answer for this connection (docs/protocol/streams.md §8.3). */
export const RESTART_PROBE_MS = 3_000;
/**
 * A SYN with the initial sequence number of an older peer (always 0) this soon after the handshake is a late copy:
 * such peers send their SYN twice, directly and relayed (docs/protocol/streams.md §4.4).
 */
export const RESTART_GUARD_MS = 2_000;
/** Shortest time an early FIN waits for the data before it, next to twice the RTO (docs/protocol/streams.md §6.2). */
export const EARLY_FIN_MIN_MS = 400;
/** Plain duplicate ACKs owed to an older peer at most: three start its fast retransmit, more only inflate it. */
export const MAX_PLAIN_DUPLICATES = 16;
/**
 * Share of the window, as a divisor, that must be free before a closed one is announced open
 * (docs/protocol/streams.md §2.4).
 */
export const WINDOW_UPDATE_DIVISOR = 4;

/** How a stream is set up. All times are milliseconds. */
export interface StreamOptions {
  /**
   * Own initial sequence number, drawn at random by the caller: 1..2^31-1, because older peers compare
   * selective acknowledgements without wrap-around (docs/protocol/streams.md §2.1). Up to 2^32-1 is accepted; 0 is not,
   * it marks an older peer.
   */
  isn: number;
  /** Payload bytes per segment, 64..65535. Default 1152. */
  mss?: number;
  /**
   * Most bytes accepted by `write` and not yet acknowledged, rounded up to a power of two. The buffer starts with
   * 256 KiB and grows to twice the congestion window, as far as `memory` has room. Default 16 MiB.
   */
  sendBufferBytes?: number;
  /**
   * Most bytes received and not yet read, out-of-order ones included; at least 128 KiB. The window starts with
   * 256 KiB (512 KiB for older peers) and grows with what is read per round trip. Default 16 MiB.
   */
  recvBufferBytes?: number;
  /** Slots advertised at most, and out-of-order segments held at most, 1..65535. Default 16 384. */
  recvBufferSegments?: number;
  /** Memory shared with other streams: limits the growth of all their buffers together. Default unlimited. */
  memory?: StreamMemory;
  /** Silence of ours after which an empty ACK is sent. Default 40 000. */
  keepaliveMs?: number;
  /**
   * Probes a silent peer leaves unanswered before it is given up, 5 s apart. Default 6: at 10 % loss three would end
   * a healthy idle connection within hours.
   */
  keepaliveProbes?: number;
  /** Time without data in either direction after which the stream closes itself. Default none. */
  idleTimeoutMs?: number;
  /** Time from the first SYN to giving up. Default 30 000. */
  dialTimeoutMs?: number;
  /** Time a passively opened stream waits for the third segment. Default 10 000. */
  halfOpenTimeoutMs?: number;
  /**
   * Time a closing stream may go without progress before it is reset; longer while what is in flight is repeated, whose
   * limit is {@linkcode MAX_RETRANSMISSIONS}. Default 10 000.
   */
  lingerMs?: number;
  /** Time a closed stream still answers a repeated FIN. Default 10 000. */
  timeWaitMs?: number;
  /** Longest wait before data is acknowledged. Default 5. */
  delayedAckMs?: number;
  /** Smallest retransmission timeout. Default 200. */
  minRtoMs?: number;
  /** Largest retransmission timeout. Default 10 000. */
  maxRtoMs?: number;
  /** Send small segments even while another small one is unacknowledged. Default false. */
  noDelay?: boolean;
  /** Makes the congestion controller for a segment size. Default {@linkcode Cubic}. */
  congestion?: (mss: number) => CongestionControl;
}

/** Options with every default filled in. */
export type StreamConfig = Readonly<Required<StreamOptions>>;

/** Defaults of {@linkcode StreamOptions}. */
export const STREAM_DEFAULTS: Readonly<Required<Omit<StreamOptions, "isn">>> = {
  mss: DEFAULT_MSS_BYTES,
  sendBufferBytes: 16 << 20,
  recvBufferBytes: 16 << 20,
  recvBufferSegments: 16_384,
  memory: new StreamMemory(Infinity),
  keepaliveMs: 40_000,
  keepaliveProbes: 6,
  idleTimeoutMs: Infinity,
  dialTimeoutMs: 30_000,
  halfOpenTimeoutMs: 10_000,
  lingerMs: 10_000,
  timeWaitMs: 10_000,
  delayedAckMs: 5,
  minRtoMs: 200,
  maxRtoMs: 10_000,
  noDelay: false,
  congestion: (mss) => new Cubic(mss),
};

/** Receive buffers below this cannot take two of the largest segments. */
const MIN_RECV_BUFFER_BYTES = 128 << 10;

function check(ok: boolean, name: string, value: number): void {
  if (!ok) {
    throw new PilotError(
      "invalid_argument",
      `Stream option ${name} is out of range: ${value}`,
    );
  }
}

/**
 * Fills in defaults and checks ranges.
 *
 * @param options What the caller gave.
 * @returns The complete configuration.
 * @throws {PilotError} `invalid_argument` naming the option that is out of range.
 */
export function resolveConfig(options: StreamOptions): StreamConfig {
  const config = { ...STREAM_DEFAULTS, ...options };
  check(
    Number.isInteger(config.isn) && config.isn > 0 && config.isn < 2 ** 32,
    "isn",
    config.isn,
  );
  check(
    Number.isInteger(config.mss) && config.mss >= MIN_MSS_BYTES &&
      config.mss <= MAX_MSS_BYTES,
    "mss",
    config.mss,
  );
  check(
    config.sendBufferBytes >= MIN_MSS_BYTES &&
      config.sendBufferBytes <= 1 << 30,
    "sendBufferBytes",
    config.sendBufferBytes,
  );
  check(
    config.recvBufferBytes >= MIN_RECV_BUFFER_BYTES,
    "recvBufferBytes",
    config.recvBufferBytes,
  );
  check(
    Number.isInteger(config.recvBufferSegments) &&
      config.recvBufferSegments >= 1 && config.recvBufferSegments <= 0xffff,
    "recvBufferSegments",
    config.recvBufferSegments,
  );
  for (
    const name of [
      "keepaliveMs",
      "idleTimeoutMs",
      "dialTimeoutMs",
      "halfOpenTimeoutMs",
      "lingerMs",
      "timeWaitMs",
      "delayedAckMs",
      "minRtoMs",
      "maxRtoMs",
    ] as const
  ) check(config[name] > 0, name, config[name]);
  return config;
}
