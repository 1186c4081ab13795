/**
 * Keeps this node registered: in the background, with backoff, for as long as the daemon runs
 * (docs/protocol/registry.md §4.1, §5.2).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";

/** First wait after a failure; doubles each time, plus up to half of it at random so that nodes do not come back in step. */
export const RETRY_MIN_MS = 250;
/** Longest wait between two attempts. */
export const RETRY_MAX_MS = 15_000;

/** State of the registration, as `info` shows it; "deregistered" on request, until the daemon is started again. */
export type RegistrationState = "registering" | "registered" | "retrying" | "deregistered";

/** What registration needs from the daemon. */
export interface RegistrationDeps {
  readonly clock: Clock;
  /** 0 <= x < 1. */
  readonly randomFraction: () => number;
  /** Heartbeat interval, milliseconds. */
  readonly keepaliveMs: number;
  readonly log: Log;
}

/** Who is registered. */
export interface Registrant {
  /** Registers with what is known now. */
  register(): Promise<unknown>;
  /** Restores what hangs on a registration: addresses, visibility, hostname, trust pairs. */
  registered(isFirst: boolean): Promise<void>;
  /** Reports to the registry that the node is alive. */
  heartbeat(): Promise<unknown>;
}

/** Registers, keeps alive, and registers again whenever the registry was lost. */
export class RegistrationLoop {
  readonly #deps: RegistrationDeps;
  readonly #timers: TimerSet;
  #registrant: Registrant | undefined;
  #state: RegistrationState = "registering";
  #error: PilotError | undefined;
  #failures = 0;
  #isFirst = true;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Taken out of the registry on request: whatever would register again does not. */
  #isOut = false;

  constructor(deps: RegistrationDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
  }

  /** Registers for the first time, in the background. */
  start(registrant: Registrant): void {
    this.#registrant = registrant;
    this.trigger();
  }

  /** State of the registration. */
  get state(): RegistrationState {
    return this.#state;
  }

  /** Why the last attempt failed; undefined while registered. */
  get error(): PilotError | undefined {
    return this.#error;
  }

  /** Registers now, or again after the attempt in progress: an address has changed. */
  trigger(): void {
    this.#again = true;
    const registrant = this.#registrant;
    if (
      registrant === undefined || this.#running !== undefined || this.#stopped || this.#isOut
    ) return;
    this.#timers.clear();
    this.#running = this.#run(registrant).finally(() => this.#running = undefined);
  }

  /**
   * Takes the node out of the registry and keeps it out: neither a heartbeat nor a change of address registers it
   * again.
   *
   * @param deregister Asks the registry for it.
   * @returns What that gave. When it fails, everything stays as before.
   */
  async leave<T>(deregister: () => Promise<T>): Promise<T> {
    this.#isOut = true;
    this.#timers.clear();
    try {
      await this.#running;
      const reply = await deregister();
      this.#state = "deregistered";
      this.#error = undefined;
      return reply;
    } catch (error) {
      this.#isOut = false;
      this.trigger();
      throw error;
    }
  }

  /** Ends the loop and resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timers.close();
    await this.#running;
  }

  async #run(registrant: Registrant): Promise<void> {
    while (this.#again && !this.#stopped && !this.#isOut) {
      this.#again = false;
      // What the attempt before has set would be a second chain of heartbeats.
      this.#timers.clear();
      await this.#attempt(async () => {
        await registrant.register();
        await registrant.registered(this.#isFirst);
        this.#isFirst = false;
      });
    }
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    const { log } = this.#deps;
    try {
      await action();
      if (this.#state === "retrying") log("info", "registry is back", {});
      this.#state = "registered";
      this.#error = undefined;
      this.#failures = 0;
      this.#after(this.#deps.keepaliveMs, () => this.#heartbeat());
    } catch (thrown) {
      const error = PilotError.from(thrown, "internal", "Registration failed");
      // One line for an outage, not one for each attempt.
      if (this.#failures++ === 0) {
        log("warn", "registration failed, retrying", { code: error.code, error: error.message });
      }
      this.#error = error;
      this.#state = "retrying";
      this.#after(this.#backoffMs(), () => this.trigger());
    }
  }

  #after(ms: number, run: () => void): void {
    if (!this.#isOut) this.#timers.after(ms, run);
  }

  #heartbeat(): void {
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#registrant!.heartbeat().then(
      () => this.#after(this.#deps.keepaliveMs, () => this.#heartbeat()),
      // Whatever went wrong, registering afresh mends it and is idempotent.
      () => this.#after(this.#backoffMs(), () => this.trigger()),
    ).finally(() => {
      this.#running = undefined;
      // Asked for while the heartbeat was under way.
      if (this.#again) this.trigger();
    });
  }

  #backoffMs(): number {
    const base = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 16));
    return base * (1 + this.#deps.randomFraction() / 2);
  }
}
