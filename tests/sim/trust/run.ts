/**
 * One run: two parties, a registry, what a list of commands makes of them, and what must be true of every such run.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { AsyncCommand } from "fast-check";
import type { Identity } from "../../../protocol/crypto/mod.ts";
import { consents } from "../../../rendezvous/registry/sight.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { Random } from "../random.ts";
import { Mail } from "./mail.ts";
import { Party } from "./party.ts";
import { SimRegistry } from "./registry.ts";

/** Long enough for everything that is on its way, with polls every 15 s and retries. */
const SETTLE_MS = 120_000;

/** The two parties and what is between them. */
export class TrustRun {
  readonly clock = new ManualClock();
  readonly registry: SimRegistry;
  readonly mail: Mail;
  readonly a: Party;
  readonly b: Party;
  /** What was begun and is not done. */
  readonly #tasks = new Set<Promise<void>>();

  constructor(seed: number, identities: readonly [Identity, Identity]) {
    const random = new Random(seed);
    this.registry = new SimRegistry(this.clock, random);
    this.mail = new Mail(this.clock, random);
    // Clocks that are as wrong as messages may be old or early.
    const skews = [random.int(-20, 20), random.int(-20, 20)].map((seconds) => seconds * 1000);
    this.a = new Party(this, { name: "a", identity: identities[0], skewMs: skews[0]! });
    this.b = new Party(this, { name: "b", identity: identities[1], skewMs: skews[1]! });
    this.registry.wake = (node) => {
      // Datagrams get lost, too.
      if (random.chance(this.mail.loss)) return;
      this.clock.after(5, () => this.parties.find((party) => party.node === node)?.wake());
    };
  }

  /** Both. */
  get parties(): [Party, Party] {
    return [this.a, this.b];
  }

  /** The other one. */
  other(party: Party): Party {
    return party === this.a ? this.b : this.a;
  }

  /** Starts both. */
  async start(): Promise<void> {
    for (const party of this.parties) await this.clock.finish(party.start());
    await this.clock.run(5_000);
  }

  /** Begins something that nobody waits for. */
  begin(task: Promise<void>): void {
    const tracked = task.finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  /** Lets time pass, and looks whether anybody is in who should not be. */
  async pass(ms: number): Promise<void> {
    await this.clock.run(ms);
    this.#checkSafety();
  }

  #checkSafety(): void {
    for (const party of this.parties) {
      const other = this.other(party);
      assert.ok(
        !(party.standing === "no" && party.letsIn(other.node)),
        `${party.name} lets ${other.name} in without consent`,
      );
      assert.deepEqual(party.faults, []);
    }
  }

  /** Everything works again; both come to rest, and agree. */
  async settle(): Promise<void> {
    this.registry.isDown = false;
    this.registry.loss = this.mail.loss = 0;
    for (const party of this.parties) {
      party.disk.isFull = false;
      if (!party.isUp) await this.clock.finish(party.start());
    }
    await this.pass(SETTLE_MS);
    assert.equal(this.#tasks.size, this.#abandoned, "something waits for ever");
    this.#checkAgreement();
  }

  /** Tasks of processes that were killed never end. */
  #abandoned = 0;

  /** Ends a process; what it has begun never ends. */
  kill(party: Party): void {
    party.kill();
    this.#tasks.clear();
    this.#abandoned = 0;
  }

  #checkAgreement(): void {
    const { core } = this.registry;
    const [a, b] = this.parties;
    const trusts = this.parties.map((party) => party.state.isTrusted(this.other(party).node));
    assert.equal(trusts[0], trusts[1], `trust of one side alone: ${JSON.stringify(trusts)}`);
    for (const party of this.parties) {
      const other = this.other(party);
      const isAsked = party.state.isAsked(other.node);
      const isPending = other.state.pending().some(({ nodeId }) => nodeId === party.node);
      assert.equal(isAsked, isPending, `${party.name} waits, and ${other.name} does not know`);
      assert.deepEqual(party.state.owed(), [], `${party.name} has not said all`);
      assert.equal(party.letsIn(other.node), trusts[0]);
      if (party.standing !== "no") continue;
      assert.equal(
        consents(core, party.node, other.node),
        false,
        `the registry shows ${party.name} to ${other.name} without consent`,
      );
    }
    assert.ok(!(a.state.isAsked(b.node) && b.state.isAsked(a.node)), "both wait for each other");
    assert.equal(core.trust.isPair(a.node, b.node), trusts[0], "the registry sees it otherwise");
  }

  /** Whatever has been, two who both ask trust each other in the end. */
  async startOver(): Promise<void> {
    for (const party of this.parties) {
      await this.clock.finish(party.request(this.other(party)));
      this.#checkSafety();
    }
    await this.settle();
    assert.ok(this.a.letsIn(this.b.node) && this.b.letsIn(this.a.node), "no way back to trust");
  }
}

/** What may happen. */
export const DEEDS = [
  "request",
  "approve",
  "reject",
  "revoke",
  "kill",
  "start",
  "fill disk",
  "empty disk",
  "registry down",
  "registry up",
  "registry restart",
  "lossy",
  "lossless",
] as const;

/** Something that happens, and how long it is left alone. */
export class Deed implements AsyncCommand<object, TrustRun> {
  readonly #deed: typeof DEEDS[number];
  readonly #name: "a" | "b";
  readonly #thenMs: number;

  constructor(deed: typeof DEEDS[number], name: "a" | "b", thenMs: number) {
    this.#deed = deed;
    this.#name = name;
    this.#thenMs = thenMs;
  }

  check(): boolean {
    return true;
  }

  async run(_model: object, run: TrustRun): Promise<void> {
    this.#do(run, run[this.#name]);
    await run.pass(this.#thenMs);
  }

  #do(run: TrustRun, party: Party): void {
    const { registry, mail } = run;
    switch (this.#deed) {
      case "request":
      case "approve":
      case "reject":
      case "revoke":
        return run.begin(party[this.#deed](run.other(party)));
      case "kill":
        return run.kill(party);
      case "start":
        if (!party.isUp) run.begin(party.start());
        return;
      case "fill disk":
      case "empty disk":
        party.disk.isFull = this.#deed === "fill disk";
        return;
      case "registry down":
      case "registry up":
        registry.isDown = this.#deed === "registry down";
        return;
      case "registry restart":
        return registry.restart();
      case "lossy":
      case "lossless":
        registry.loss = mail.loss = this.#deed === "lossy" ? 0.3 : 0;
    }
  }

  toString(): string {
    return `${this.#deed} (${this.#name}), ${this.#thenMs} ms`;
  }
}
