/**
 * Where the beacon is: the addresses of its name, looked up again whenever none of them answers, and the address by
 * which the registry answers if both have the same name.
 *
 * @module
 */

import { isIP } from "node:net";
import {
  canonicalHost,
  preferred,
  type Resolve,
  serverAddresses,
} from "../platform/net/server_addresses.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../protocol/ip.ts";
import type { Log } from "../platform/log.ts";

/** Failed searches before a log line: the first may have met a busy machine. */
const TELL_AFTER = 2;

/** What {@linkcode BeaconFinder} works with. */
export interface BeaconFinderOptions {
  /** `host:port`. */
  readonly beacon: string;
  /** `host:port`. */
  readonly registry: string;
  /** The socket takes both kinds of addresses, not IPv4 alone. */
  readonly isDual: boolean;
  /** Called with the addresses to query whenever they change; the preferred one first. */
  readonly found: (candidates: readonly Endpoint[]) => void;
  readonly log: Log;
  /** Default: the system's. */
  readonly resolve?: Resolve;
}

/** Keeps the tunnel layer informed of where the beacon may be. */
export class BeaconFinder {
  readonly #options: BeaconFinderOptions;
  readonly #endpoint: Endpoint;
  /** The registry has the same name. */
  readonly #isBesideRegistry: boolean;
  #resolved: readonly Endpoint[] = [];
  #registryHost: string | undefined;
  #error: string | undefined;
  #isLooking = false;
  #silences = 0;
  #answeredAt: string | undefined;
  #isClosed = false;

  constructor(options: BeaconFinderOptions) {
    this.#options = options;
    this.#endpoint = parseEndpoint(options.beacon);
    this.#isBesideRegistry = parseEndpoint(options.registry).host === this.#endpoint.host;
  }

  /** Why its name could not be looked up last; undefined when it could. */
  get error(): string | undefined {
    return this.#error;
  }

  /** Looks the name up, unless that is under way. */
  look(): void {
    const { host } = this.#endpoint;
    if (isIP(host) !== 0) this.#options.found([this.#endpoint]);
    else if (!this.#isLooking) void this.#look();
  }

  /** The registry answers at this address. */
  registryAt(host: string): void {
    if (!this.#isBesideRegistry || isIP(host.split("%")[0]!) === 0 || host.includes("%")) return;
    this.#registryHost = canonicalHost(host);
    this.look();
  }

  /** None of the addresses answers. */
  silent(): void {
    if (++this.#silences === TELL_AFTER && this.#error === undefined) {
      const { beacon, log } = this.#options;
      log("warn", "the beacon does not answer: no relay and no hole punching until it does", {
        beacon,
        asked: this.#candidates().map(formatEndpoint).join(" "),
      });
    }
    this.look();
  }

  /** One of them answers. */
  answers(endpoint: Endpoint): void {
    const { beacon, log } = this.#options;
    const at = formatEndpoint(endpoint);
    const isNews = this.#silences >= TELL_AFTER || (this.#answeredAt ?? at) !== at;
    if (isNews) log("info", "the beacon answers", { beacon, at });
    this.#answeredAt = at;
    this.#silences = 0;
  }

  /** Reports nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  async #look(): Promise<void> {
    const { beacon, isDual, resolve, log } = this.#options;
    this.#isLooking = true;
    try {
      this.#resolved = await serverAddresses(this.#endpoint, { isDual, resolve });
      this.#error = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // One line for an outage, not one for each attempt. What was known before may still do.
      if (this.#error !== reason && !this.#isClosed) {
        log("warn", "the beacon's name has no address, looking it up again", {
          beacon,
          error: reason,
        });
      }
      this.#error = reason;
    } finally {
      this.#isLooking = false;
    }
    const candidates = this.#candidates();
    if (!this.#isClosed && candidates.length > 0) this.#options.found(candidates);
  }

  #candidates(): readonly Endpoint[] {
    const { port } = this.#endpoint;
    const hosts = this.#resolved.map(({ host }) => host);
    const registry = this.#registryHost;
    // While the name has addresses the registry's is one of them, or one that the name had before.
    if (registry !== undefined && !hosts.includes(registry)) hosts.push(registry);
    return preferred(hosts, this.#options.isDual).map((host) => ({ host, port }));
  }
}
