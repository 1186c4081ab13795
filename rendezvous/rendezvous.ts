/**
 * Registry and beacon in one process.
 *
 * @module
 */

import { getLogger, LOG_CATEGORY, type Logger } from "../platform/log.ts";
import { BeaconServer } from "./beacon/server.ts";
import { MAPPING_SWEEP_MS } from "./beacon/limits.ts";
import type { MappingLimits } from "./beacon/mappings.ts";
import { type Clock, SYSTEM_CLOCK } from "./clock.ts";
import { RegistryCore } from "./registry/core.ts";
import { REAP_INTERVAL_MS } from "./registry/limits.ts";
import { RegistryServer, type ServerLimits } from "./registry/server.ts";
import { MemoryStore } from "./registry/store/memory.ts";
import { SqliteStore } from "./registry/store/sqlite.ts";
import type { RegistryStore } from "./registry/store/store.ts";

/** How often deadlines are looked at, milliseconds; they are all in seconds. */
const TICK_MS = 1_000;

/** How a rendezvous is run. */
export interface RendezvousOptions {
  /** TCP address of the registry: `127.0.0.1:9000`, `:9000` for all interfaces; port 0 picks a free one. */
  registryAddr: string;
  /** UDP address of the beacon, in the same form. */
  beaconAddr: string;
  /** Directory of the store; undefined keeps everything in memory only. */
  store: string | undefined;
  /** Global admin token (rendezvous.md §2.2). A secret: never on a command line. */
  adminToken?: string | undefined;
  /** See `CoreOptions.strictTrust`. */
  strictTrust?: boolean | undefined;
  /** Clocks other than the machine's. */
  clock?: Clock | undefined;
  /** Limits other than the defaults. */
  limits?: { registry?: ServerLimits; beacon?: MappingLimits } | undefined;
}

/** What a {@linkcode Rendezvous} holds together. */
export interface RendezvousParts {
  readonly core: RegistryCore;
  readonly registry: RegistryServer;
  readonly beacon: BeaconServer;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A running registry and beacon. */
export class Rendezvous implements AsyncDisposable {
  /** Where the registry listens, `host:port`. */
  readonly registryAddr: string;
  /** Where the beacon listens, `host:port`. */
  readonly beaconAddr: string;
  readonly #parts: RendezvousParts;
  readonly #timer: ReturnType<typeof setInterval>;
  #reapDue: number;
  #sweepDue: number;
  /** The last round of periodic work. */
  #ticks: Promise<void> = Promise.resolve();
  #waitingTicks = 0;
  #closing: Promise<void> | undefined;

  /** Use {@linkcode Rendezvous.start}. */
  constructor(parts: RendezvousParts) {
    this.#parts = parts;
    this.registryAddr = parts.registry.addr;
    this.beaconAddr = parts.beacon.addr;
    const now = parts.clock.monotonicMs();
    this.#reapDue = now + REAP_INTERVAL_MS;
    this.#sweepDue = now + MAPPING_SWEEP_MS;
    this.#timer = setInterval(() => {
      if (this.#waitingTicks === 0) void this.tick(); // else the store is slow: no queue of rounds
    }, TICK_MS);
  }

  /**
   * Opens the store, then listens.
   *
   * @param options Addresses, store, clocks.
   * @returns The running server; it answers already.
   * @throws {PilotError} `already_exists` (port taken), `invalid_state` (store in use, from a newer version, not
   * ours), `io_error` (store damaged or not writable), `invalid_argument` (bad address).
   */
  static async start(options: RendezvousOptions): Promise<Rendezvous> {
    const clock = options.clock ?? SYSTEM_CLOCK;
    const log = getLogger([LOG_CATEGORY, "rendezvous"]);
    const { adminToken, strictTrust, limits } = options;
    const store: RegistryStore = options.store === undefined
      ? new MemoryStore()
      : await SqliteStore.open(options.store);
    let core: RegistryCore | undefined;
    let registry: RegistryServer | undefined;
    try {
      core = new RegistryCore({ store, clock, log, adminToken, strictTrust });
      registry = new RegistryServer({
        core,
        addr: options.registryAddr,
        limits: limits?.registry,
      });
      const beacon = new BeaconServer({
        addr: options.beaconAddr,
        clock,
        log,
        limits: limits?.beacon,
      });
      log.info("rendezvous started", {
        registry: registry.addr,
        beacon: beacon.addr,
        store: options.store,
        nodes: core.directory.size,
      });
      return new Rendezvous({ core, registry, beacon, clock, log });
    } catch (error) {
      await registry?.close();
      await (core ?? store).close();
      throw error;
    }
  }

  /**
   * Does the periodic work that is due. Called every second by itself; tests with their own clock call it.
   *
   * @returns Resolves when it is done, after any earlier round.
   */
  tick(): Promise<void> {
    this.#waitingTicks++;
    this.#ticks = this.#ticks.then(() => this.#tick()).finally(() => {
      this.#waitingTicks--;
    });
    return this.#ticks;
  }

  async #tick(): Promise<void> {
    const { core, registry, beacon, clock, log } = this.#parts;
    const now = clock.monotonicMs();
    registry.sweep();
    if (now >= this.#sweepDue) {
      this.#sweepDue = now + MAPPING_SWEEP_MS;
      beacon.beacon.sweep(now);
      log.debug("beacon", { nodes: beacon.beacon.size, ...beacon.beacon.counters });
    }
    if (now < this.#reapDue) return;
    this.#reapDue = now + REAP_INTERVAL_MS;
    try {
      await core.tick();
    } catch (error) {
      log.error("periodic work failed", { error: String(error) });
    }
  }

  /**
   * Stops listening, answers what has begun, and closes the store.
   *
   * @throws {PilotError} `io_error` when the last changes could not be stored.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    const { registry, beacon, core } = this.#parts;
    await Promise.all([registry.close(), beacon.close(), this.#ticks]);
    await core.close();
  }

  /** {@linkcode Rendezvous.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
