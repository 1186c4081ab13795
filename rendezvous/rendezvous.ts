/**
 * Registry and beacon in one process.
 *
 * @module
 */

import process from "node:process";
import { getLogger, LOG_CATEGORY, type Logger } from "../platform/log.ts";
import { ClusterToken } from "./cluster_token.ts";
import { beaconBeside, type BeaconSettings } from "./beacon/beside_registry.ts";
import type { BeaconServer } from "./beacon/beacon_server.ts";
import type { MappingLimits } from "./beacon/mappings.ts";
import { type Clock, every, unixSeconds } from "../platform/clock.ts";
import { systemClock } from "../platform/system_clock.ts";
import { joinFacts } from "./join_line.ts";
import { type HttpAccess, HttpServer } from "../platform/http/http_server.ts";
import { routes } from "./http/routes.ts";
import { checkAdminToken } from "./registry/networks/tokens.ts";
import { RegistryCore } from "./registry/core.ts";
import { REAP_INTERVAL_MS } from "./registry/registry_limits.ts";
import { RegistryServer, type ServerLimits } from "./registry/registry_server.ts";
import { AnswerSigner } from "./registry/signing.ts";
import { MemoryStore } from "./registry/store/memory_store.ts";
import { SqliteStore } from "./registry/store/sqlite.ts";
import type { RegistryStore } from "./registry/store/store.ts";
import { loadTls, type TlsOptions } from "./registry/tls.ts";
import { PilotError } from "../protocol/errors.ts";
import { publicFacts, removeStatusFile, storeBytes, writeStatusFile } from "./status_file.ts";
import { type RendezvousFacts, View } from "./view.ts";

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
  /** Start over where a registry has lost its database; refused where there is one. */
  newStore?: boolean | undefined;
  /** Global admin token (docs/protocol/registry.md §2.2). A secret: never on a command line. */
  adminToken?: string | undefined;
  /** See `CoreOptions.strict`. */
  strict?: boolean | undefined;
  /** Other beacons and the beacon's relay. */
  beacon?: BeaconSettings | undefined;
  /** Certificate and key of the registry, default "auto"; "none" serves plain TCP only. */
  tls?: TlsOptions | "none" | undefined;
  /** Serve TLS only; by default both on one port, by a client's first bytes. */
  tlsOnly?: boolean | undefined;
  /** Host by which others reach this machine, for the line that they join by; found out where there is only one. */
  advertise?: string | undefined;
  /** TCP address of health and metrics over HTTP, as `registryAddr`; undefined serves none. */
  http?: string | undefined;
  /** Who may ask over HTTP. */
  httpAccess?: HttpAccess | undefined;
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
  readonly http: HttpServer | undefined;
  readonly facts: RendezvousFacts;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A running registry and beacon. */
export class Rendezvous implements AsyncDisposable {
  /** Where the registry listens, `host:port`. */
  readonly registryAddr: string;
  /** Where the beacon listens, `host:port`. */
  readonly beaconAddr: string;
  /** Addresses, keys, fingerprint: what does not change while it runs. */
  readonly facts: RendezvousFacts;
  readonly #parts: RendezvousParts;
  readonly #endTicks: () => void;
  #reapDue: number;
  /** The last round of periodic work. */
  #ticks: Promise<void> = Promise.resolve();
  #waitingTicks = 0;
  #closing: Promise<void> | undefined;

  /** Use {@linkcode Rendezvous.start}. */
  constructor(parts: RendezvousParts) {
    this.#parts = parts;
    this.registryAddr = parts.registry.addr;
    this.beaconAddr = parts.beacon.addr;
    this.facts = parts.facts;
    const now = parts.clock.now();
    this.#reapDue = now + REAP_INTERVAL_MS;
    this.#endTicks = every(parts.clock, TICK_MS, () => {
      // Else the store is slow: no queue of rounds.
      return this.#waitingTicks === 0 ? this.tick() : undefined;
    });
  }

  /**
   * Opens the store, then listens.
   *
   * @param options Addresses, store, clocks.
   * @returns The running server; it answers already.
   * @throws {PilotError} `already_exists` (port taken, store not new), `invalid_state` (store in use, from a newer
   * version, not ours, lost), `io_error` (store damaged or not writable), `invalid_argument` (bad address, damaged key or certificate,
   * admin token too short),
   * `not_found` (no certificate file), `denied` (a key that others may read).
   */
  static async start(options: RendezvousOptions): Promise<Rendezvous> {
    const clock = options.clock ?? systemClock;
    const log = getLogger([LOG_CATEGORY, "rendezvous"]);
    const { adminToken, strict, limits } = options;
    checkAdminToken(adminToken, log);
    const source = options.tls ?? "auto";
    if (source === "none" && options.tlsOnly === true) {
      throw new PilotError("invalid_argument", "A registry with TLS only needs a certificate");
    }
    const store: RegistryStore = options.store === undefined
      ? new MemoryStore()
      : await SqliteStore.open(options.store, options.newStore === true ? "anew" : "unless-lost");
    let core: RegistryCore | undefined;
    let registry: RegistryServer | undefined;
    let beacon: BeaconServer | undefined;
    let http: HttpServer | undefined;
    try {
      const signer = await AnswerSigner.load(options.store);
      const tls = source === "none" ? undefined : await loadTls({
        tls: source,
        store: options.store,
        addr: options.registryAddr,
        now: clock.unixNow(),
        log,
      });
      const secret = options.beacon?.token;
      const beaconToken = secret === undefined ? undefined : new ClusterToken(secret);
      core = new RegistryCore({ store, clock, log, adminToken, beaconToken, strict, signer });
      if (options.http !== undefined) {
        const access = options.httpAccess;
        http = new HttpServer({ addr: options.http, now: () => clock.now(), log, access });
      }
      registry = new RegistryServer({
        core,
        addr: options.registryAddr,
        tls,
        tlsOnly: options.tlsOnly,
        limits: limits?.registry,
      });
      beacon = await beaconBeside(core, {
        addr: options.beaconAddr,
        settings: options.beacon,
        limits: limits?.beacon,
      });
      const facts: RendezvousFacts = {
        pid: process.pid,
        registry: registry.addr,
        beacon: beacon.addr,
        udp: beacon.socketKind,
        http: http?.addr,
        store: options.store,
        registryKey: signer.publicKey,
        tlsFingerprint: tls?.fingerprint,
        join: joinFacts({
          ...{ registry: registry.addr, beacon: beacon.addr, advertise: options.advertise },
          ...{ fingerprint: tls?.fingerprint, registryKey: signer.publicKey },
        }),
        started: unixSeconds(clock),
      };
      const server = registry;
      http?.show(routes(
        new View({
          ...{ core, beacon, clock, facts },
          connections: () => server.connections,
          httpConnections: () => http?.connections ?? 0,
          storeBytes: () => storeBytes(options.store),
        }),
      ));
      await writeStatusFile(facts);
      log.debug("rendezvous started", { ...publicFacts(facts), nodes: core.nodes.size });
      return new Rendezvous({ core, registry, beacon, http, facts, clock, log });
    } catch (error) {
      await http?.close();
      await beacon?.close();
      await registry?.close();
      await (core ?? store).close();
      throw error;
    }
  }

  /**
   * Does the periodic work that is due. Called automatically every second; tests with their own clock call it.
   *
   * @returns Resolves when it is done, after any earlier round.
   */
  tick(): Promise<void> {
    this.#waitingTicks++;
    const round = this.#ticks.then(() => this.#tick()).finally(() => {
      this.#waitingTicks--;
    });
    this.#ticks = round.catch(() => {
      // The caller of the round gets the error; the next round is not affected.
    });
    return round;
  }

  async #tick(): Promise<void> {
    const { core, registry, beacon, http, clock, log } = this.#parts;
    const now = clock.now();
    registry.sweep();
    http?.sweep();
    beacon.tick();
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
    this.#endTicks();
    const { registry, beacon, http, core, facts } = this.#parts;
    await Promise.all([registry.close(), beacon.close(), http?.close(), this.#ticks]);
    await removeStatusFile(facts);
    await core.close();
  }

  /** {@linkcode Rendezvous.close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
