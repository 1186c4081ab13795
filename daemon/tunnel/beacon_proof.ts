/**
 * Proving our endpoint to a beacon that understands it, and the wakes that it then sends (protocol/beacon/announcement.ts).
 *
 * Another beacon ignores the question, which is one small datagram a minute; the plain announcements continue.
 *
 * @module
 */

import {
  BEACON_COOKIE_BYTES,
  BEACON_NONCE_BYTES,
  type BeaconMessage,
  DISCOVER_WAKE,
  discoverChallenge,
  encodeBeacon,
} from "../../protocol/beacon/beacon_message.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import type { Identity } from "../../protocol/crypto/mod.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import { TokenBucket } from "../../protocol/rate_limit.ts";

/** How often the beacon is asked whether it still holds our endpoint for proven: it may have been restarted. */
export const PROOF_CHECK_MS = 60_000;
/** After this time the endpoint is proven again, half of the time for which beacons keep it. */
export const PROOF_RENEW_MS = 5 * 60_000;
/** When a question without answer is repeated after the first time, ms; then {@linkcode PROOF_CHECK_MS} is soon enough. */
const REPEAT_MS = [1_000, 3_000];
/** Proofs begun because our endpoint seems to have changed: the beacon's address can be forged, a signature costs time. */
export const PROOF_RATE = { perSecond: 1, burst: 5 } as const;

/**
 * Shortest time between two wakes that are acted upon, ms: each costs registry requests, and a beacon, or whoever
 * repeats what it has sent, may send any number.
 */
export const WAKE_GAP_MS = 1_000;

/** Notices of a v1.18 beacon that are acted upon: they prove no sender (docs/protocol/beacon.md §6). */
export const NOTIFY_RATE = { perSecond: 0.2, burst: 3 } as const;

/** What the prover needs. */
export interface BeaconProofDeps {
  readonly clock: Clock;
  /** Sends to the beacon; false when there is none yet. */
  readonly send: (data: Uint8Array) => boolean;
  /** Our endpoint is proven. */
  readonly proven: () => void;
  /** Something waits for us in the registry's inbox. */
  readonly wake: () => void;
}

interface Attempt {
  readonly nonce: Uint8Array;
  /** Prove also if the beacon holds the endpoint for proven. */
  readonly isForced: boolean;
  isProving: boolean;
}

/** Keeps our endpoint proven. */
export class BeaconProof {
  readonly #deps: BeaconProofDeps;
  readonly #timers: TimerSet;
  readonly #rate: TokenBucket;
  readonly #notices: TokenBucket;
  #node = 0;
  #identity: Identity | undefined;
  #attempt: Attempt | undefined;
  #checkedMs = -Infinity;
  #provenMs = -Infinity;
  /** Nonces of the last two proofs, the newer first: a wake may be on its way while we prove again. */
  #tokens: readonly Uint8Array[] = [];
  #lastWake: { token: Uint8Array; sequence: number } | undefined;
  #wakeMs = -Infinity;
  /** Takes back the wake that waits for its time. */
  #cancelWake: (() => void) | undefined;

  constructor(deps: BeaconProofDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
    const now = deps.clock.now();
    this.#rate = new TokenBucket(PROOF_RATE, now);
    this.#notices = new TokenBucket(NOTIFY_RATE, now);
  }

  /** The beacon has accepted our proof, and wakes us. */
  get isProven(): boolean {
    return this.#tokens.length > 0;
  }

  /** Begins as another node or again: we were registered. */
  start(node: number, identity: Identity): void {
    this.#node = node;
    this.#identity = identity;
    this.#begin(true);
  }

  /** The question under way as it is sent; undefined when there is none. */
  get question(): Uint8Array | undefined {
    return this.#attempt && this.#encodeQuestion(this.#attempt);
  }

  /** Whether a message answers the question under way: only who has read it can have sent that. */
  isAnswer(message: BeaconMessage & { type: "cookie" }): boolean {
    return this.#attempt !== undefined && equalBytes(message.nonce, this.#attempt.nonce);
  }

  /** Starts over: the beacon is about to be searched. */
  renew(): void {
    this.#begin(true);
  }

  /** Our endpoint is another one. */
  moved(): void {
    if (this.#rate.take(this.#deps.clock.now())) this.#begin(true);
  }

  /** To be called with each announcement: asks again when it is time. */
  check(): void {
    if (this.#deps.clock.now() - this.#checkedMs >= PROOF_CHECK_MS) this.#begin(false);
  }

  /** Handles a message of the extension, or a notice, from the beacon. */
  onMessage(message: BeaconMessage): void {
    if (message.type === "cookie") this.#onCookie(message);
    else if (message.type === "wake") this.#onWake(message);
    else if (message.type === "notify" && this.#notices.take(this.#deps.clock.now())) this.#wake();
  }

  /** Stops all timers. */
  close(): void {
    this.#attempt = undefined;
    this.#timers.close();
    this.#cancelWake?.();
  }

  #begin(isForced: boolean): void {
    this.#timers.clear();
    if (this.#identity === undefined || this.#node === 0) return;
    // Strangers must not guess it, in no test either.
    const nonce = crypto.getRandomValues(new Uint8Array(BEACON_NONCE_BYTES));
    const attempt: Attempt = { nonce, isForced, isProving: false };
    if (!this.#ask(attempt)) return;
    this.#attempt = attempt;
    this.#checkedMs = this.#deps.clock.now();
    for (const delay of isForced ? REPEAT_MS : []) {
      this.#timers.after(delay, () => {
        if (this.#attempt !== attempt) return;
        attempt.isProving = false;
        this.#ask(attempt);
      });
    }
  }

  #ask(attempt: Attempt): boolean {
    return this.#deps.send(this.#encodeQuestion(attempt));
  }

  #encodeQuestion({ nonce }: Attempt): Uint8Array {
    const cookie = new Uint8Array(BEACON_COOKIE_BYTES);
    const flags = DISCOVER_WAKE;
    const node = this.#node;
    return encodeBeacon({
      type: "discover_auth",
      node,
      flags,
      nonce,
      cookie,
      signature: undefined,
    });
  }

  #onCookie(
    { isProven, nonce, cookie }: { isProven: boolean; nonce: Uint8Array; cookie: Uint8Array },
  ): void {
    const attempt = this.#attempt;
    if (attempt === undefined || !equalBytes(nonce, attempt.nonce)) return;
    const { clock, proven } = this.#deps;
    if (attempt.isProving) {
      if (!isProven) return; // a late answer to the question
      this.#end();
      this.#tokens = [attempt.nonce, ...this.#tokens.slice(0, 1)];
      this.#provenMs = clock.now();
      proven();
      return;
    }
    const isRecent = clock.now() - this.#provenMs < PROOF_RENEW_MS && this.#tokens.length > 0;
    if (isProven && isRecent && !attempt.isForced) this.#end();
    else void this.#prove(attempt, cookie.slice());
  }

  /** Signing cannot fail: the key is ours and loaded. */
  async #prove(attempt: Attempt, cookie: Uint8Array): Promise<void> {
    attempt.isProving = true;
    const node = this.#node;
    const fields = { node, flags: DISCOVER_WAKE, nonce: attempt.nonce, cookie };
    const signature = await this.#identity!.sign(discoverChallenge(fields));
    if (this.#attempt !== attempt || !attempt.isProving) return;
    this.#deps.send(encodeBeacon({ type: "discover_auth", ...fields, signature }));
  }

  #end(): void {
    this.#attempt = undefined;
    this.#timers.clear();
  }

  #onWake({ token, sequence }: { token: Uint8Array; sequence: number }): void {
    if (!this.#tokens.some((known) => equalBytes(known, token))) return;
    const last = this.#lastWake;
    // A repetition: the first one has been acted upon.
    if (last?.sequence === sequence && equalBytes(last.token, token)) return;
    this.#lastWake = { token: token.slice(), sequence };
    this.#wake();
  }

  /** Now, or when it is time; what comes until then is included. */
  #wake(): void {
    if (this.#cancelWake !== undefined) return;
    const { clock, wake } = this.#deps;
    const waitMs = this.#wakeMs + WAKE_GAP_MS - clock.now();
    if (waitMs > 0) {
      this.#cancelWake = clock.after(waitMs, () => {
        this.#cancelWake = undefined;
        this.#wake();
      });
      return;
    }
    this.#wakeMs = clock.now();
    wake();
  }
}
