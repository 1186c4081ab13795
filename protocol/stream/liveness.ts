/**
 * Keepalives, the search for dead peers, and the limits on answering theirs (docs/protocol/streams.md §8).
 *
 * @module
 */

import {
  KEEPALIVE_ANSWER_MS,
  PROBE_INTERVAL_MS,
  RESTART_PROBE_MS,
  type StreamConfig,
  WINDOW_ANSWER_MS,
} from "./stream_config.ts";

/** Restart probes are sent this often while the answer is awaited. */
const RESTART_PROBE_INTERVAL_MS = RESTART_PROBE_MS / 3;

/** What {@linkcode Liveness.due} asks for. */
export type LivenessAction =
  /** Send an empty ACK with the real window. */
  | "keepalive"
  /** Send something that any peer must answer. */
  | "probe"
  /** Give up: the peer is silent. */
  | "dead"
  /** Give up: the peer process restarted and knows nothing of this connection. */
  | "restarted"
  /** Nothing. */
  | undefined;

/**
 * Both sides send an empty ACK after a time of own silence. Such ACKs are not answered, so a peer that sends none of
 * its own (an older one may not) is asked with a repeated byte, which every peer acknowledges.
 */
export class Liveness {
  readonly #config: StreamConfig;
  #sentAt: number;
  #receivedAt: number;
  #probedAt = -Infinity;
  #unanswered = 0;
  #restartUntil = Infinity;
  #answeredAt = -Infinity;
  #windowAnsweredAt = -Infinity;

  /**
   * @param config Complete options.
   * @param now Milliseconds.
   */
  constructor(config: StreamConfig, now: number) {
    this.#config = config;
    this.#sentAt = now;
    this.#receivedAt = now;
  }

  /** @param now Milliseconds; a segment left. */
  onSent(now: number): void {
    this.#sentAt = now;
  }

  /** @param now Milliseconds; the peer was heard. */
  onReceived(now: number): void {
    this.#receivedAt = now;
    this.#unanswered = 0;
    this.#restartUntil = Infinity;
  }

  /**
   * The peer's tunnel key changed.
   *
   * @param now Milliseconds.
   * @param rtoMs Retransmission timeout: slow paths get more time.
   */
  onPeerRestarted(now: number, rtoMs: number): void {
    this.#restartUntil = now + Math.max(RESTART_PROBE_MS, 3 * rtoMs);
    this.#probedAt = -Infinity;
  }

  /**
   * @param idle Whether nothing else would find out that the peer is gone: open, and nothing unacknowledged.
   * @returns When {@linkcode due} may have something, milliseconds.
   */
  deadline(idle: boolean): number {
    if (this.#restartUntil !== Infinity) {
      return Math.min(
        this.#restartUntil,
        this.#probedAt + RESTART_PROBE_INTERVAL_MS,
      );
    }
    if (!idle) return Infinity;
    return Math.min(this.#sentAt + this.#config.keepaliveMs, this.#probeAt());
  }

  /**
   * @param now Milliseconds.
   * @param idle As for {@linkcode deadline}.
   * @returns What to do now; a probe is counted when it is asked for.
   */
  due(now: number, idle: boolean): LivenessAction {
    if (this.#restartUntil !== Infinity) {
      if (now >= this.#restartUntil) return "restarted";
      if (now < this.#probedAt + RESTART_PROBE_INTERVAL_MS) return undefined;
      this.#probedAt = now;
      return "probe";
    }
    if (!idle) return undefined;
    if (now >= this.#probeAt()) {
      if (this.#unanswered >= this.#config.keepaliveProbes) return "dead";
      this.#unanswered++;
      this.#probedAt = now;
      return "probe";
    }
    return now >= this.#sentAt + this.#config.keepaliveMs ? "keepalive" : undefined;
  }

  /**
   * @param now Milliseconds.
   * @returns Whether a keepalive of the peer may be answered now.
   */
  mayAnswerKeepalive(now: number): boolean {
    if (now - this.#answeredAt < KEEPALIVE_ANSWER_MS) return false;
    this.#answeredAt = now;
    return true;
  }

  /**
   * @param now Milliseconds.
   * @returns Whether a probe of our closed window may be answered now.
   */
  mayAnswerWindow(now: number): boolean {
    if (now - this.#windowAnsweredAt < WINDOW_ANSWER_MS) return false;
    this.#windowAnsweredAt = now;
    return true;
  }

  #probeAt(): number {
    return Math.max(
      this.#receivedAt + this.#config.keepaliveMs + PROBE_INTERVAL_MS,
      this.#unanswered > 0 ? this.#probedAt + PROBE_INTERVAL_MS : -Infinity,
    );
  }
}
