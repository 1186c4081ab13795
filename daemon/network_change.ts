/**
 * What follows from a change of this machine's addresses. Containers and virtual machines come and go with interfaces
 * of their own, while the paths to the registry, the beacon and the peers are unchanged: so these are probed first,
 * and only one that is gone or does not answer makes us start over.
 *
 * @module
 */

import { localAddresses, ownAddresses, withoutZone } from "../platform/local_addresses.ts";
import { type Clock, TimerSet } from "../platform/clock.ts";
import { NetworkWatch } from "./network_watch.ts";

/** Longest wait for the registry's answer over the connection in doubt, ms: less than a person takes to notice. */
export const PROBE_MS = 1_500;
/** Local addresses that have not changed for this long are reported to the registry, ms. */
export const SETTLE_MS = 60_000;

/** What the reaction needs. */
export interface NetworkChangeDeps {
  readonly clock: Clock;
  /** Our end of the connection to the registry; undefined while there is none. */
  readonly registryEnd: () => string | undefined;
  /** Whether an address is this machine's; default as the system says. */
  readonly isOurs?: (host: string) => boolean;
  /** Asks the registry over the existing connection. Rejects when it does not answer. */
  readonly askRegistry: () => Promise<unknown>;
  /** Asks the beacon and the peers. */
  readonly checkPaths: () => void;
  /** Starts over: connection, registration, paths. */
  readonly moved: (reason: string) => void;
  /** Local addresses as they would be registered now. */
  readonly lanAddrs: () => readonly string[];
  /** Registers them. */
  readonly register: () => void;
}

/** Judges changes until it is closed. */
export class NetworkChange {
  readonly #deps: NetworkChangeDeps;
  readonly #timers: TimerSet;
  #registered = "";
  #cancelSettled: (() => void) | undefined;
  /** Counts probes, so that only the last one counts. */
  #probe = 0;
  #doubtUntilMs = -Infinity;
  #watch: NetworkWatch | undefined;

  constructor(deps: NetworkChangeDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
  }

  /** Begins to look at the machine's addresses. */
  watch(): void {
    this.#watch = new NetworkWatch({
      clock: this.#deps.clock,
      addresses: () => Object.values(localAddresses()).flat(),
      changed: (reason) => this.changed(reason),
    });
  }

  /** These local addresses are registered. */
  registered(lanAddrs: readonly string[]): void {
    this.#registered = lanAddrs.join(" ");
  }

  /** The machine has other addresses, or has slept. */
  changed(reason: "addresses" | "sleep" | "back"): void {
    const { registryEnd, isOurs = isOwnAddress, checkPaths } = this.#deps;
    const end = registryEnd();
    if (reason !== "addresses" || end === undefined || !isOurs(end)) return this.#moved(reason);
    this.#doubtUntilMs = this.#deps.clock.now() + PROBE_MS;
    this.#settleLater();
    checkPaths();
    void this.#ask();
  }

  /** The beacon sees us at another host than before; just after a change that means another uplink. */
  seenElsewhere(): void {
    if (this.#deps.clock.now() <= this.#doubtUntilMs) this.#moved("addresses");
  }

  /** Stops all timers. */
  close(): void {
    this.#watch?.close();
    this.#probe++;
    this.#timers.close();
  }

  #moved(reason: string): void {
    this.#probe++;
    this.#doubtUntilMs = -Infinity;
    this.#deps.moved(reason);
  }

  async #ask(): Promise<void> {
    const probe = ++this.#probe;
    const cancel = this.#timers.after(PROBE_MS, () => {
      if (this.#probe === probe) this.#moved("addresses");
    });
    try {
      await this.#deps.askRegistry();
    } catch {
      // The path is gone, whatever the reason.
      if (this.#probe === probe) this.#moved("addresses");
    } finally {
      cancel();
    }
  }

  /** Peers beside us may come by an address that is new: it is registered once it stays. */
  #settleLater(): void {
    this.#cancelSettled?.();
    this.#cancelSettled = this.#timers.after(SETTLE_MS, () => {
      const { lanAddrs, register } = this.#deps;
      if (lanAddrs().join(" ") !== this.#registered) register();
    });
  }
}

function isOwnAddress(host: string): boolean {
  return ownAddresses().has(withoutZone(host));
}
