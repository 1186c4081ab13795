/**
 * Beacons that announced themselves (rendezvous.md §4.6). Not stored: they announce themselves every 30 s.
 *
 * @module
 */

import { RegistryFailure } from "./failure.ts";
import { BEACON_TTL_SECONDS, MAX_BEACONS } from "./limits.ts";

interface Entry {
  readonly addr: string;
  readonly expires: number;
}

/** The announced beacons. */
export class BeaconDirectory {
  readonly #beacons: Map<number, Entry> = new Map();

  /**
   * Adds or refreshes a beacon.
   *
   * @param id Non-zero number of the beacon.
   * @param addr Its `host:port`.
   * @param now Monotonic milliseconds.
   * @throws {RegistryFailure} When the table is full.
   */
  register(id: number, addr: string, now: number): void {
    if (!this.#beacons.has(id)) {
      this.#expire(now);
      if (this.#beacons.size >= MAX_BEACONS) {
        throw new RegistryFailure(`too many beacons (max ${MAX_BEACONS})`);
      }
    }
    this.#beacons.set(id, { addr, expires: now + BEACON_TTL_SECONDS * 1000 });
  }

  /** The beacons whose announcement has not expired. */
  list(now: number): { id: number; addr: string }[] {
    this.#expire(now);
    return Array.from(this.#beacons, ([id, { addr }]) => ({ id, addr }));
  }

  #expire(now: number): void {
    for (const [id, { expires }] of this.#beacons) {
      if (expires <= now) this.#beacons.delete(id);
    }
  }
}
