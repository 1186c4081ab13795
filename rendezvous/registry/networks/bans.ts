/**
 * Nodes that may not come back into a network, our extension: the wire's `kick_member` keeps nobody from joining again.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { Changes } from "../changes.ts";
import { RegistryFailure } from "../failure.ts";
import type { BanRow } from "../store/store.ts";
import { MAX_BANS, MAX_BANS_TOTAL } from "./network_limits.ts";

/** Bans by network, in the order in which they came. */
export class Bans {
  readonly #changes: Changes;
  readonly #byNetwork: Map<number, Map<number, BanRow>> = new Map();
  #size = 0;

  /** @param changes Where changes are noted for the store. */
  constructor(changes: Changes) {
    this.#changes = changes;
  }

  /** Is a node banned from a network? */
  has(network: number, node: number): boolean {
    return this.#byNetwork.get(network)?.has(node) === true;
  }

  /** The bans of a network. */
  of(network: number): BanRow[] {
    return [...this.#byNetwork.get(network)?.values() ?? []];
  }

  /**
   * Makes sure that there is room for a ban.
   *
   * @throws {RegistryFailure} When the network's list or the whole table is full.
   */
  checkRoom(network: number, node: number): void {
    if (this.has(network, node)) return;
    const count = this.#byNetwork.get(network)?.size ?? 0;
    if (count >= MAX_BANS || this.#size >= MAX_BANS_TOTAL) {
      throw new RegistryFailure("limit_exceeded", `too many bans (max ${MAX_BANS} per network)`);
    }
  }

  /** Bans a node; there must be room. A ban that stands stays as it is. */
  add(ban: BanRow): void {
    if (this.has(ban.network, ban.node)) return;
    this.#changes.ban(ban);
    this.#insert(ban);
  }

  #insert(ban: BanRow): void {
    let bans = this.#byNetwork.get(ban.network);
    if (bans === undefined) this.#byNetwork.set(ban.network, bans = new Map());
    bans.set(ban.node, ban);
    this.#size++;
  }

  /** Ends a ban. False when there is none. */
  remove(network: number, node: number): boolean {
    const bans = this.#byNetwork.get(network);
    if (bans?.delete(node) !== true) return false;
    this.#changes.banRemoved(network, node);
    if (bans.size === 0) this.#byNetwork.delete(network);
    this.#size--;
    return true;
  }

  /** Forgets the bans of a network that is deleted; the store drops them with it. */
  removeNetwork(network: number): void {
    this.#size -= this.#byNetwork.get(network)?.size ?? 0;
    this.#byNetwork.delete(network);
  }

  /**
   * At start: one stored ban.
   *
   * @param known Is there such a network?
   * @throws {PilotError} `invalid_state` when there is none.
   */
  load(ban: BanRow, known: (network: number) => boolean): void {
    if (!known(ban.network)) {
      throw new PilotError(
        "invalid_state",
        `node ${ban.node} is banned from network ${ban.network}, which does not exist`,
      );
    }
    this.#insert(ban);
  }
}
