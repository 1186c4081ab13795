/**
 * Which of a beacon's addresses is used. A name may have several, of both kinds, and some may lead nowhere from here,
 * so all of them are asked and the first that answers is kept (in the spirit of Happy Eyeballs, RFC 8305). When it
 * falls silent the search begins again.
 *
 * @module
 */

import { type Endpoint, formatEndpoint } from "../../protocol/ip.ts";
import { withoutZone } from "../../platform/local_addresses.ts";
import { MAX_SERVER_ADDRESSES } from "../../platform/net/server_addresses.ts";
import { sameEndpoint } from "../../protocol/ip.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import { PROOF_CHECK_MS } from "./beacon_proof.ts";

/** Head start of an address before the next one is asked, ms (RFC 8305 §5). */
export const ATTEMPT_DELAY_MS = 250;
/** Waits for the answer to an announcement, ms: after the last the beacon counts as silent. */
export const ANSWER_WAITS_MS: readonly number[] = [1_000, 2_000, 3_000];
/** First wait after no address answered, ms; doubled each time, plus up to half of it at random. */
export const SEARCH_MIN_MS = 1_000;
/** Longest such wait, ms: as often as we announce ourselves to a beacon that answers. */
export const SEARCH_MAX_MS = 25_000;
/**
 * A beacon that has shown that it reads our questions must do so again within this time, ms: anyone can forge the
 * plain answers of one that has gone. Four questions may get lost.
 */
export const AUTHENTIC_MAX_MS: number = 5 * PROOF_CHECK_MS;

/** How far it is known that the beacon is at the address in use. */
type Standing = "unknown" | "plain" | "authentic";

/** What the choice needs. */
export interface BeaconChoiceDeps {
  readonly clock: Clock;
  /** 0 <= x < 1. */
  readonly randomFraction: () => number;
  /** All addresses are about to be asked. */
  readonly searching: () => void;
  /** Asks an address; in a search for an authentic answer as well. */
  readonly ask: (to: Endpoint, isSearch: boolean) => void;
  /** No address answers. Reported after each failed search. */
  readonly silent: () => void;
  /** This one answers. */
  readonly chosen: (endpoint: Endpoint) => void;
}

/** Keeps asking until one answers, and again when it does no more. */
export class BeaconChoice {
  readonly #deps: BeaconChoiceDeps;
  readonly #timers: TimerSet;
  #candidates: readonly Endpoint[] = [];
  #current: Endpoint | undefined;
  /** As its answers name it. */
  #heardAs: Endpoint | undefined;
  #standing: Standing = "unknown";
  #isStarted = false;
  /** An address has answered since the search began. */
  #isHeard = false;
  /** An answer is awaited, in a search or to an announcement. */
  #isWaiting = false;
  #failures = 0;
  #authenticMs = -Infinity;
  /** The address in use has answered at some time. */
  #hasAnswered = false;

  constructor(deps: BeaconChoiceDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
  }

  /** The address in use: the one that answers, before that the first and after that the last one. */
  get current(): Endpoint | undefined {
    return this.#current;
  }

  /** The address in use answers. */
  get isAnswering(): boolean {
    return this.#standing !== "unknown";
  }

  /** The addresses that are asked. */
  get candidates(): readonly Endpoint[] {
    return this.#candidates;
  }

  /**
   * Says where the beacon may be.
   *
   * @param candidates Literal endpoints, the preferred one first; those beyond {@linkcode MAX_SERVER_ADDRESSES} are
   * left out. If the address in use is not among them it is given up for the first of these that answers.
   */
  set(candidates: readonly Endpoint[]): void {
    const before = setKey(this.#candidates);
    this.#candidates = candidates.slice(0, MAX_SERVER_ADDRESSES);
    // Name servers give the same addresses in another order each time.
    if (setKey(this.#candidates) === before) return;
    if (this.isAnswering && this.#has(this.#current)) return;
    const [first] = this.#candidates;
    if (!this.#hasAnswered || first === undefined) this.#use(first);
    this.#standing = "unknown";
    if (this.#isStarted) this.#search(); // the pauses of a failing search keep growing
  }

  /** Begins: from now on questions may be sent. */
  start(): void {
    const isFirst = !this.#isStarted;
    this.#isStarted = true;
    if (isFirst || this.isAnswering) this.check();
    else this.restart();
  }

  /** Announces us to the address in use, or searches one if that is not under way. */
  check(): void {
    if (!this.#isStarted) return;
    if (this.#isDoubtful && this.#standing === "authentic") this.#standing = "plain";
    if (this.#isDoubtful || this.#standing === "unknown") {
      if (!this.#isWaiting) this.#search();
    } else if (this.#isWaiting) this.#deps.ask(this.#current!, false);
    else this.#announce(0);
  }

  /** Does not wait for the time of the next search: something has changed. */
  restart(): void {
    this.#failures = 0;
    if (!this.#isStarted) return;
    if (this.isAnswering) this.check();
    else this.#search();
  }

  /**
   * Takes note of an answer.
   *
   * @param from Its sender.
   * @param isAuthentic Only who has read our question can have sent it.
   * @returns Whether it came from the address that is in use now.
   */
  answered(from: Endpoint, isAuthentic: boolean): boolean {
    const isCurrent = this.isFromCurrent(from);
    const candidate = this.#candidates.find((one) => sameEndpoint(from, heardAs(one)));
    // What stays in use because there is no other address may belong to another host by now.
    if (candidate === undefined) return isCurrent;
    const isBetter = this.#standing === "unknown" || (isAuthentic && this.#standing === "plain");
    if (!isCurrent && !isBetter) return false;
    const isNews = !isCurrent || this.#standing === "unknown";
    if (isAuthentic) this.#authenticMs = this.#deps.clock.now();
    this.#isHeard = true;
    // It may be forged: the others are asked as well.
    if (!this.#isDoubtful) {
      this.#timers.clear();
      this.#isWaiting = false;
    }
    this.#failures = 0;
    this.#use(candidate);
    this.#hasAnswered = true;
    if (isAuthentic || !isCurrent || this.#standing === "unknown") {
      this.#standing = isAuthentic ? "authentic" : "plain";
    }
    if (isNews) this.#deps.chosen(candidate);
    return true;
  }

  /** Whether a datagram's sender is the address in use. */
  isFromCurrent(from: Endpoint): boolean {
    return sameEndpoint(from, this.#heardAs);
  }

  /** Whether a datagram's sender is one of the addresses that are asked. */
  isAsked(from: Endpoint): boolean {
    return this.isFromCurrent(from) ||
      this.#candidates.some((candidate) => sameEndpoint(from, heardAs(candidate)));
  }

  /** Stops all timers. */
  close(): void {
    this.#timers.close();
  }

  /** A beacon that could show that it reads our questions has not done so for too long. */
  get #isDoubtful(): boolean {
    return this.#authenticMs !== -Infinity &&
      this.#deps.clock.now() - this.#authenticMs > AUTHENTIC_MAX_MS;
  }

  #has(endpoint: Endpoint | undefined): boolean {
    return this.#candidates.some((candidate) => sameEndpoint(candidate, endpoint));
  }

  #use(endpoint: Endpoint | undefined): void {
    this.#current = endpoint;
    this.#heardAs = endpoint && heardAs(endpoint);
  }

  #announce(tries: number): void {
    this.#isWaiting = true;
    this.#deps.ask(this.#current!, false);
    this.#timers.after(ANSWER_WAITS_MS[tries]!, () => {
      if (tries + 1 < ANSWER_WAITS_MS.length) this.#announce(tries + 1);
      else this.#lost();
    });
  }

  #lost(): void {
    this.#standing = "unknown";
    this.#search();
    this.#deps.silent();
  }

  #search(): void {
    const { randomFraction, searching, ask, silent } = this.#deps;
    this.#timers.clear();
    this.#isWaiting = true;
    this.#isHeard = false;
    const baseMs = Math.min(SEARCH_MAX_MS, SEARCH_MIN_MS * 2 ** Math.min(this.#failures, 16));
    const lastMs = Math.max(0, this.#candidates.length - 1) * ATTEMPT_DELAY_MS;
    this.#timers.after(lastMs + baseMs * (1 + randomFraction() / 2), () => {
      if (this.#isHeard) {
        this.#isWaiting = false;
        return;
      }
      this.#standing = "unknown";
      this.#failures++;
      this.#search();
      silent();
    });
    if (this.#candidates.length > 0) searching();
    for (const [i, candidate] of this.#candidates.entries()) {
      if (i === 0) ask(candidate, true);
      else this.#timers.after(i * ATTEMPT_DELAY_MS, () => ask(candidate, true));
    }
  }
}

/** Sockets name the senders of datagrams without a zone. */
function heardAs(endpoint: Endpoint): Endpoint {
  const { host, port } = endpoint;
  return host.includes("%") ? { host: withoutZone(host), port } : endpoint;
}

function setKey(endpoints: readonly Endpoint[]): string {
  return endpoints.map(formatEndpoint).sort().join();
}
