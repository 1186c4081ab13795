/**
 * Beacons that announced themselves (docs/protocol/registry.md §4.6). Not stored: they announce themselves every 30 s.
 *
 * @module
 */

import { RegistryFailure } from "./failure.ts";
import { BEACON_TTL_SECONDS, MAX_BEACONS, MAX_BEACONS_PER_SOURCE } from "./registry_limits.ts";

/** One beacon's statement about itself. */
export interface BeaconEntry {
  /** Non-zero number of the beacon. */
  readonly id: number;
  /** Its `host:port`. */
  readonly addr: string;
  /**
   * Where that was said, as limits count it; undefined when it is certain: said by this process, or with the cluster's
   * token.
   */
  readonly source: string | undefined;
}

interface Listed extends BeaconEntry {
  readonly expires: number;
}

/** The announced beacons. */
export class BeaconDirectory {
  readonly #beacons: Map<number, Listed> = new Map();

  /**
   * Adds or refreshes a beacon. Without proof a number belongs to the source that took it until it expires, and a source
   * has a few of them, so that a stranger neither takes over a beacon's place nor fills the table.
   *
   * @param entry The beacon.
   * @param now Monotonic milliseconds.
   * @throws {RegistryFailure} When the table or the source's share is full, or the number is another's.
   */
  register(entry: BeaconEntry, now: number): void {
    const { id, source } = entry;
    this.#expire(now);
    const known = this.#beacons.get(id);
    if (known !== undefined && source !== undefined && known.source !== source) {
      throw new RegistryFailure("already_exists", `beacon_id ${id} is already in use`);
    }
    if (known === undefined) this.#makeSure(source);
    this.#beacons.set(id, { ...entry, expires: now + BEACON_TTL_SECONDS * 1000 });
  }

  /** The beacons whose announcement has not expired. */
  list(now: number): { id: number; addr: string }[] {
    this.#expire(now);
    return Array.from(this.#beacons.values(), ({ id, addr }) => ({ id, addr }));
  }

  /** Throws when there is no room for one more of this source. */
  #makeSure(source: string | undefined): void {
    if (source !== undefined) {
      let ofSource = 0;
      for (const beacon of this.#beacons.values()) if (beacon.source === source) ofSource++;
      if (ofSource >= MAX_BEACONS_PER_SOURCE) {
        throw new RegistryFailure(
          "limit_exceeded",
          `too many beacons of one address (max ${MAX_BEACONS_PER_SOURCE})`,
        );
      }
    }
    if (this.#beacons.size < MAX_BEACONS) return;
    // What is certain takes the place of a mere claim.
    const unproven = source !== undefined
      ? undefined
      : this.#beacons.values().find((beacon) => beacon.source !== undefined);
    if (unproven === undefined) {
      throw new RegistryFailure("limit_exceeded", `too many beacons (max ${MAX_BEACONS})`);
    }
    this.#beacons.delete(unproven.id);
  }

  #expire(now: number): void {
    for (const [id, { expires }] of this.#beacons) {
      if (expires <= now) this.#beacons.delete(id);
    }
  }
}
