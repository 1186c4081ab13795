/**
 * HyStart++ (RFC 9406): leaves slow start when the round trip grows, before the queue overflows. Also knows whether
 * the path queues, which later distinguishes congestion from chance.
 *
 * @module
 */

/** Smallest growth of the round trip that counts, milliseconds. */
const MIN_RTT_THRESHOLD_MS = 4;
/** Growth that always counts, milliseconds. */
const MAX_RTT_THRESHOLD_MS = 16;
/** Growth between these, as a part of the round trip. */
const RTT_DIVISOR = 8;
/**
 * Samples whose smallest one is judged. RFC 9406 takes the smallest since the round began; a paced round begins with
 * an empty queue and ends with a full one, which that would notice a round trip, and a whole queue, too late.
 */
const GROUP_SAMPLES = 8;
/** How much slower the careful phase grows than slow start. */
const CAREFUL_DIVISOR = 4;
/** Rounds of the careful phase. */
const CAREFUL_ROUNDS = 5;
/**
 * Growth of the round trip over the smallest one, as a part of it, that ends the careful phase at once: five rounds
 * would treble the window, and the queue is filling already.
 */
const QUEUE_FILLING = 0.5;
/**
 * Growth over the smallest round trip that counts as a queue: a part of it, within limits. Less is what timers, other
 * processes and radio links make of a round trip all the time. A queue that never gets so long goes unnoticed; beside
 * plain CUBIC that leaves it a third, beside NewReno a quarter.
 */
const QUEUE_DIVISOR = 16;
/** Least growth that counts, milliseconds: what timers and other processes add; see {@linkcode QUEUE_DIVISOR}. */
const MIN_QUEUE_MS = 2;
/** Growth that always counts, milliseconds; see {@linkcode QUEUE_DIVISOR}. */
const MAX_QUEUE_MS = 16;
/**
 * Rounds after which the smallest round trip is forgotten, or twice as many. One that was measured too short, as
 * happens when a busy process reads its clock late, must not make the path look queued for long.
 */
const BASE_ROUNDS = 64;

/** What {@linkcode HyStart} reads of the round-trip estimate. */
export interface RoundTrips {
  /** The latest sample, milliseconds. */
  readonly latest: number;
}

/** Watches round trips, by groups of samples and by rounds of one window each. */
export class HyStart {
  #phase: "slow" | "careful" | "over" = "slow";
  #roundEnd = 0;
  #last = Infinity;
  #current = Infinity;
  #samples = 0;
  #carefulRounds = 0;
  /** Round trip below which the growth that began the careful phase was a blip. */
  #baseline = Infinity;
  #group = Infinity;
  /** Smallest round trip since the last multiple of {@linkcode BASE_ROUNDS}, and of the rounds before. */
  #newest = Infinity;
  #older = Infinity;
  #rounds = 0;

  /** Part of the acknowledged bytes that slow start grows by, as a divisor. */
  get divisor(): number {
    return this.#phase === "careful" ? CAREFUL_DIVISOR : 1;
  }

  /** Whether slow start should end. */
  get over(): boolean {
    return this.#phase === "over";
  }

  /**
   * Whether the latest rounds went through a queue. Without enough samples the answer is yes: it is the careful one.
   */
  get queued(): boolean {
    const base = this.#base;
    const limit = base + Math.min(Math.max(base / QUEUE_DIVISOR, MIN_QUEUE_MS), MAX_QUEUE_MS);
    const known = this.#last < Infinity;
    return !known || this.#last > limit || this.#samples > 0 && this.#current > limit;
  }

  /**
   * Takes a sample.
   *
   * @param rtt The estimator, which holds it.
   * @param una Offset acknowledged up to.
   * @param next Offset sent up to.
   */
  onRtt(rtt: RoundTrips, una: number, next: number): void {
    if (una >= this.#roundEnd) this.#startRound(next);
    this.#current = Math.min(this.#current, rtt.latest);
    this.#newest = Math.min(this.#newest, rtt.latest);
    this.#samples++;
    if (this.#phase === "over") return;
    this.#group = Math.min(this.#group, rtt.latest);
    if (this.#samples % GROUP_SAMPLES === 0) this.#judge(this.#group);
  }

  /** Round trip without a queue, as far as that is known. */
  get #base(): number {
    return Math.min(this.#newest, this.#older);
  }

  #judge(group: number): void {
    this.#group = Infinity;
    if (this.#phase === "careful") {
      if (group < this.#baseline) this.#phase = "slow";
      else if (group >= this.#base * (1 + QUEUE_FILLING)) this.#phase = "over";
      return;
    }
    const threshold = Math.min(
      Math.max(this.#last / RTT_DIVISOR, MIN_RTT_THRESHOLD_MS),
      MAX_RTT_THRESHOLD_MS,
    );
    if (group < this.#last + threshold) return;
    this.#phase = "careful";
    this.#baseline = this.#last + threshold / 2;
    this.#carefulRounds = 0;
  }

  #startRound(next: number): void {
    this.#roundEnd = next;
    if (++this.#rounds % BASE_ROUNDS === 0) {
      this.#older = this.#newest;
      this.#newest = Infinity;
    }
    this.#last = this.#current;
    this.#current = Infinity;
    this.#group = Infinity;
    this.#samples = 0;
    if (this.#phase === "careful" && ++this.#carefulRounds >= CAREFUL_ROUNDS) this.#phase = "over";
  }
}
