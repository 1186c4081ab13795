/**
 * Path MTU discovery with its probes: which of them are out, and what their answers say (RFC 8899). Sans-I/O.
 *
 * @module
 */

import { PathMtu, type PathMtuOptions } from "./pmtu.ts";
import { encodePathProbe, pathProbeId } from "./probe.ts";

/** Probes of a path whose answers still count; as many as several sizes have tries. */
const MAX_OUTSTANDING_PROBES = 16;
const ID_BYTES = 6;

/** How a path's MTU is discovered. */
export interface MtuDiscoveryOptions extends PathMtuOptions {
  /** Bytes of a probe's datagram besides its payload. */
  readonly overheadBytes: number;
}

/** What is known of a path's MTU, and the probes that are out. */
export class MtuDiscovery {
  readonly #search: PathMtu;
  readonly #overheadBytes: number;
  /** Sizes and times of probes by their ids. */
  readonly #probes = new Map<number, { readonly bytes: number; readonly sentMs: number }>();

  /**
   * Nothing is known of the path yet.
   *
   * @param options See {@linkcode MtuDiscoveryOptions}.
   */
  constructor(options: MtuDiscoveryOptions) {
    this.#search = new PathMtu(options);
    this.#overheadBytes = options.overheadBytes;
  }

  /** Largest datagram known to pass, bytes of UDP payload. */
  get bytes(): number {
    return this.#search.bytes;
  }

  /** When to call {@linkcode MtuDiscovery.poll} next, milliseconds; Infinity while there is nothing to do. */
  get deadline(): number {
    return this.#search.deadline;
  }

  /** Full-size data is being sent, so larger datagrams would help; cheap enough for every packet. */
  demand(now: number): void {
    this.#search.demand(now);
  }

  /** Payload of the probe to send now; undefined when none is due. */
  poll(now: number, random: (out: Uint8Array) => void): Uint8Array | undefined {
    const bytes = this.#search.poll(now);
    if (bytes === undefined) return undefined;
    const id = new Uint8Array(ID_BYTES);
    random(id);
    const payload = encodePathProbe(id, bytes - this.#overheadBytes);
    const oldest = this.#probes.keys().next().value;
    if (this.#probes.size >= MAX_OUTSTANDING_PROBES && oldest !== undefined) {
      this.#probes.delete(oldest);
    }
    this.#probes.set(pathProbeId(payload), { bytes, sentMs: now });
    return payload;
  }

  /**
   * Takes the answer to a probe.
   *
   * @returns Whether {@linkcode MtuDiscovery.bytes} is another one now; undefined when it answers none of these probes.
   */
  onAnswer(id: number, now: number): boolean | undefined {
    const probe = this.#probes.get(id);
    if (probe === undefined) return undefined;
    this.#probes.delete(id);
    return this.#search.onAnswer(probe.bytes, now - probe.sentMs, now);
  }

  /**
   * Large datagrams seem to vanish, see {@linkcode PathMtu.suspect}.
   *
   * @returns Whether {@linkcode MtuDiscovery.bytes} is another one now; probes sent before do not count any more then.
   */
  suspect(now: number): boolean {
    if (!this.#search.suspect(now)) return false;
    this.#probes.clear();
    return true;
  }
}
