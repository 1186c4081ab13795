/**
 * Which networks we share with which peers, as the registry states it and for as long as it does
 * (docs/protocol/trust.md §3.2). Only networks count that this node has joined itself: nobody else can open it by
 * putting it into one.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import { type Clock, every, TimerSet } from "../../platform/clock.ts";

/** How long an answer is cached. */
export const VERDICT_TTL_MS = 4_000;
/** Age of an answer from which a new one is fetched while it still counts, so that a busy peer never waits. */
const REFRESH_AFTER_MS = 2_000;
/** Answers remembered; the oldest goes. */
export const MAX_VERDICTS = 4_096;
/** Questions under way; a peer beyond them is asked about at its next packet. */
export const MAX_ASKING = 64;
/** How often the members that we talk to are looked at again. */
export const SWEEP_MS = 4_000;
/** Members looked at again per sweep, those first that were not for the longest time. */
export const SWEEP_BATCH = 16;
/** How long the ports that a network allows are cached; the registry also announces a change. */
const POLICY_TTL_MS = 30_000;

/** A network that we share with a peer. */
export interface SharedNetwork {
  readonly id: number;
  /** Ports that members may reach, or all. */
  readonly allows: (port: number) => boolean;
}

/** What memberships are found out with. */
export interface MembershipsDeps {
  readonly clock: Clock;
  /** Our node number; 0 before it is known. */
  readonly self: () => number;
  /** The registry's `lookup` in our name. Rejects when it cannot be asked. */
  readonly lookup: (node: number) => Promise<{ readonly networks?: readonly number[] | null }>;
  /** The registry's `get_network_policy` in our name. Rejects likewise. */
  readonly policy: (network: number) => Promise<JsonObject>;
  /** Networks that this node has joined. */
  readonly joined: () => readonly number[];
}

/** Who lives by memberships. */
export interface MembershipsUser {
  /** Peers that a membership lets talk to us at the moment. */
  active(): Iterable<number>;
  /** The registry has answered; `isLess`: the peer has lost a network that it shared with us. */
  judged(node: number, networks: readonly SharedNetwork[], isLess: boolean): void;
}

interface Verdict {
  readonly networks: readonly SharedNetwork[];
  readonly atMs: number;
}

interface Policy {
  readonly ports: ReadonlySet<number> | undefined;
  readonly atMs: number;
}

/** Answers of the registry about common networks. */
export class Memberships {
  readonly #deps: MembershipsDeps;
  #user: MembershipsUser | undefined;
  readonly #timers: TimerSet;
  /** By node; what has expired stays, to show what was lost. */
  readonly #verdicts = new Map<number, Verdict>();
  readonly #asking = new Map<number, Promise<readonly SharedNetwork[]>>();
  readonly #policies = new Map<number, Policy>();
  /** Increases when everything must be asked again: an answer to an older question is not taken. */
  #round = 0;

  constructor(deps: MembershipsDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
  }

  /** Begins to look again at those who are active, and to report answers. */
  start(user: MembershipsUser): void {
    this.#user = user;
    every(this.#timers, SWEEP_MS, () => this.#sweep());
  }

  /** What is known about a peer now; undefined when that is too old, or nothing. */
  known(node: number): readonly SharedNetwork[] | undefined {
    if (this.#deps.joined().length === 0) return [];
    const verdict = this.#verdicts.get(node);
    const ageMs = verdict === undefined ? Infinity : this.#deps.clock.now() - verdict.atMs;
    if (ageMs >= REFRESH_AFTER_MS && ageMs < VERDICT_TTL_MS) this.#askQuietly(node);
    return ageMs < VERDICT_TTL_MS ? verdict!.networks : undefined;
  }

  /**
   * Asks the registry about a peer, or gives what is known.
   *
   * @throws {PilotError} When the registry cannot be asked; `limit_exceeded` when {@linkcode MAX_ASKING} questions are
   * under way.
   */
  async ask(node: number): Promise<readonly SharedNetwork[]> {
    return this.known(node) ?? await this.#ask(node);
  }

  /** Something may have changed: nothing that is known counts any more, and active peers are looked at. */
  refresh(): void {
    this.#round++;
    this.#policies.clear();
    this.#asking.clear();
    for (const [node, verdict] of this.#verdicts) {
      this.#verdicts.set(node, { ...verdict, atMs: -Infinity });
    }
    for (const node of this.#activeNodes()) this.#askQuietly(node);
  }

  /** Ends looking. */
  close(): void {
    this.#timers.close();
  }

  #ask(node: number): Promise<readonly SharedNetwork[]> {
    const known = this.#asking.get(node);
    if (known !== undefined) return known;
    if (this.#asking.size >= MAX_ASKING) {
      return Promise.reject(new PilotError("limit_exceeded", "too many questions to the registry"));
    }
    const round = this.#round;
    const asking = this.#fetch(node).then((networks) => {
      if (round === this.#round) this.#take(node, networks);
      return networks;
    }).finally(() => {
      if (this.#asking.get(node) === asking) this.#asking.delete(node);
    });
    this.#asking.set(node, asking);
    return asking;
  }

  #askQuietly(node: number): void {
    this.#ask(node).catch(() => {
      // The registry is not there: what is known runs out, and the next packet or sweep asks again.
    });
  }

  async #fetch(node: number): Promise<SharedNetwork[]> {
    const { joined, self, lookup } = this.#deps;
    const mine = new Set(joined());
    if (mine.size === 0 || self() === 0 || node === self()) return [];
    // Ours too: a node that was removed from a network shares it with nobody.
    const [ours, theirs] = await Promise.all([lookup(self()), lookup(node)]);
    const there = new Set(networksOf(theirs));
    const shared = networksOf(ours).filter((id) => mine.has(id) && there.has(id));
    return await Promise.all(shared.map(async (id) => {
      const ports = await this.#ports(id);
      return { id, allows: (port: number) => ports === undefined || ports.has(port) };
    }));
  }

  /** The ports that a network allows; undefined for all. */
  async #ports(network: number): Promise<ReadonlySet<number> | undefined> {
    const now = this.#deps.clock.now();
    const known = this.#policies.get(network);
    if (known !== undefined && now - known.atMs < POLICY_TTL_MS) return known.ports;
    const { allowed_ports: list } = await this.#deps.policy(network);
    const ports = Array.isArray(list) ? (list as unknown[]).filter(isNumber) : [];
    const policy = { ports: ports.length === 0 ? undefined : new Set(ports), atMs: now };
    this.#policies.set(network, policy);
    return policy.ports;
  }

  #take(node: number, networks: readonly SharedNetwork[]): void {
    const before = this.#verdicts.get(node)?.networks ?? [];
    this.#verdicts.delete(node);
    this.#verdicts.set(node, { networks, atMs: this.#deps.clock.now() });
    if (this.#verdicts.size > MAX_VERDICTS) {
      this.#verdicts.delete(this.#verdicts.keys().next().value!);
    }
    const isLess = before.some(({ id }) => !networks.some((network) => network.id === id));
    this.#user?.judged(node, networks, isLess);
  }

  /** Peers to be looked at, those first of whom the answer is the oldest. */
  #activeNodes(): number[] {
    const age = (node: number) => this.#verdicts.get(node)?.atMs ?? -Infinity;
    return [...this.#user?.active() ?? []].sort((a, b) => age(a) - age(b)).slice(0, SWEEP_BATCH);
  }

  #sweep(): void {
    for (const node of this.#activeNodes()) this.#askQuietly(node);
  }
}

function networksOf({ networks }: { readonly networks?: readonly number[] | null }): number[] {
  return Array.isArray(networks) ? networks.filter(isNumber).filter((id) => id !== 0) : [];
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
