/**
 * What can be seen of a running rendezvous from outside: for health, metrics and `rendezvous status`.
 *
 * @module
 */

import { VERSION } from "../platform/version.ts";
import type { BeaconHealth } from "./beacon/beacon_counters.ts";
import type { Clock } from "../platform/clock.ts";
import type { JoinFacts } from "./join_line.ts";
import type { RegistryCore } from "./registry/core.ts";

/** The parts that are looked at. */
export interface ViewParts {
  readonly core: RegistryCore;
  readonly beacon: { health(): BeaconHealth };
  readonly clock: Clock;
  /** Open connections to the registry. */
  readonly connections: () => number;
  /** Open connections to health and metrics. */
  readonly httpConnections: () => number;
  /** Bytes of the store on disk; undefined for one in memory. */
  readonly storeBytes: () => Promise<number | undefined>;
  /** Things that do not change while it runs. */
  readonly facts: RendezvousFacts;
}

/** What does not change while a rendezvous runs. */
export interface RendezvousFacts {
  /** Number of its process. */
  readonly pid: number;
  /** Where the registry listens, `host:port`. */
  readonly registry: string;
  /** Where the beacon listens, `host:port`. */
  readonly beacon: string;
  /** Implementation of the beacon's UDP socket. */
  readonly udp: string;
  /** Where health and metrics are served, `host:port`. */
  readonly http: string | undefined;
  /** Directory of the store; undefined for one in memory. */
  readonly store: string | undefined;
  /** The registry's public key, base64: what daemons pin with `--registry-key`. */
  readonly registryKey: string;
  /** SHA-256 of the TLS certificate, hex: what daemons pin with `--registry-fingerprint`; undefined without TLS. */
  readonly tlsFingerprint: string | undefined;
  /** What others join by. */
  readonly join: JoinFacts;
  /** Unix seconds of the start. */
  readonly started: number;
}

/** Looks at a running rendezvous. */
export class View {
  readonly core: RegistryCore;
  readonly facts: RendezvousFacts;
  readonly #parts: ViewParts;
  readonly #startedMs: number;

  /** @param parts What is looked at. */
  constructor(parts: ViewParts) {
    this.#parts = parts;
    this.core = parts.core;
    this.facts = parts.facts;
    this.#startedMs = parts.clock.now();
  }

  /** Seconds since the start. */
  get uptimeSeconds(): number {
    return (this.#parts.clock.now() - this.#startedMs) / 1000;
  }

  /** Software version. */
  get version(): string {
    return VERSION;
  }

  /** Open connections to the registry. */
  get connections(): number {
    return this.#parts.connections();
  }

  /** Open connections to health and metrics. */
  get httpConnections(): number {
    return this.#parts.httpConnections();
  }

  /** Counts and state of the beacon. */
  beacon(): BeaconHealth {
    return this.#parts.beacon.health();
  }

  /** Bytes of the store on disk; undefined for one in memory. */
  storeBytes(): Promise<number | undefined> {
    return this.#parts.storeBytes();
  }
}
