/**
 * Invitations to networks (docs/protocol/registry.md §4.5): what waits for each node until it answers.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { Changes } from "../changes.ts";
import { RegistryFailure } from "../failure.ts";
import type { InviteRow } from "../store/store.ts";
import { INVITE_TTL_SECONDS, MAX_INVITES, MAX_INVITES_TOTAL } from "./network_limits.ts";

/** Invitations by target, at most one per network, in the order of arrival. */
export class Invites {
  readonly #changes: Changes;
  readonly #byTarget: Map<number, Map<number, InviteRow>> = new Map();
  /** How many wait that a node sent: most nodes sent none, and then nothing needs to be searched. */
  readonly #sent: Map<number, number> = new Map();
  #size = 0;

  /** @param changes Where changes are noted for the store. */
  constructor(changes: Changes) {
    this.#changes = changes;
  }

  /** Invitations waiting in all. */
  get size(): number {
    return this.#size;
  }

  /** The invitation of a node to a network, expired or not. */
  get(target: number, network: number): InviteRow | undefined {
    return this.#byTarget.get(target)?.get(network);
  }

  /** Has nobody more time to answer it? */
  expired(invite: InviteRow, nowSeconds: number): boolean {
    return nowSeconds - invite.created > INVITE_TTL_SECONDS;
  }

  /** Everything that waits for a node and can still be answered. */
  waiting(target: number, nowSeconds: number): InviteRow[] {
    const invites = this.#byTarget.get(target);
    if (invites === undefined) return [];
    return [...invites.values()].filter((invite) => !this.expired(invite, nowSeconds));
  }

  /**
   * Adds an invitation. An expired one of the same network is replaced.
   *
   * @throws {RegistryFailure} When the target's inbox or the whole table is full.
   */
  put(invite: InviteRow): void {
    const { target, network } = invite;
    const waiting = this.#byTarget.get(target);
    const fresh = waiting?.has(network) !== true;
    if (fresh && ((waiting?.size ?? 0) >= MAX_INVITES || this.#size >= MAX_INVITES_TOTAL)) {
      throw new RegistryFailure("limit_exceeded", "invite inbox full");
    }
    if (!fresh) this.remove(target, network);
    this.#changes.invite(invite);
    this.#insert(invite);
  }

  #insert(invite: InviteRow): void {
    let waiting = this.#byTarget.get(invite.target);
    if (waiting === undefined) this.#byTarget.set(invite.target, waiting = new Map());
    waiting.set(invite.network, invite);
    this.#sent.set(invite.inviter, (this.#sent.get(invite.inviter) ?? 0) + 1);
    this.#size++;
  }

  /** Removes an invitation, if there is one. */
  remove(target: number, network: number): void {
    const waiting = this.#byTarget.get(target);
    const invite = waiting?.get(network);
    if (waiting === undefined || invite === undefined) return;
    this.#changes.inviteRemoved(target, network);
    waiting.delete(network);
    if (waiting.size === 0) this.#byTarget.delete(target);
    const sent = (this.#sent.get(invite.inviter) ?? 1) - 1;
    if (sent === 0) this.#sent.delete(invite.inviter);
    else this.#sent.set(invite.inviter, sent);
    this.#size--;
  }

  #removeWhere(unwanted: (invite: InviteRow) => boolean): void {
    for (const waiting of this.#byTarget.values()) {
      for (const invite of waiting.values()) {
        if (unwanted(invite)) this.remove(invite.target, invite.network);
      }
    }
  }

  /** Removes all invitations to a network. */
  removeNetwork(network: number): void {
    if (this.#size === 0) return;
    this.#removeWhere((invite) => invite.network === network);
  }

  /**
   * Removes what a node sent and what waits for it.
   *
   * @param node Node number.
   * @param network Only of this network; of all when it is missing.
   */
  removeNode(node: number, network?: number): void {
    const concerned = (invite: InviteRow) => network === undefined || invite.network === network;
    for (const invite of this.#byTarget.get(node)?.values() ?? []) {
      if (concerned(invite)) this.remove(node, invite.network);
    }
    this.#removeSent(node, concerned);
  }

  /** Removes what a node sent for a network: it has no right to invite there any more. */
  removeSent(node: number, network: number): void {
    this.#removeSent(node, (invite) => invite.network === network);
  }

  #removeSent(node: number, concerned: (invite: InviteRow) => boolean): void {
    if (!this.#sent.has(node)) return;
    this.#removeWhere((invite) => invite.inviter === node && concerned(invite));
  }

  /** Drops what was not answered in time. */
  expire(nowSeconds: number): void {
    this.#removeWhere((invite) => this.expired(invite, nowSeconds));
  }

  /**
   * At start: one stored invitation.
   *
   * @param known Is there such a network?
   * @throws {PilotError} `invalid_state` when there is none.
   */
  load(invite: InviteRow, known: (network: number) => boolean): void {
    if (!known(invite.network)) {
      throw new PilotError(
        "invalid_state",
        `node ${invite.target} is invited to network ${invite.network}, which does not exist`,
      );
    }
    this.#insert(invite);
  }
}
