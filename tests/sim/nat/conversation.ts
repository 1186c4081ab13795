/**
 * Two connected agents that keep talking, and what is asserted of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Kind, KINDS } from "./kinds.ts";
import {
  type Agent,
  type Conversation,
  type Site,
  type Topology,
  type Way,
  wayBetween,
} from "./topology.ts";

/** Time between two utterances, ms. */
const SAY_EVERY_MS = 100;
const SAY_BYTES = 1_000;
/** Time in which what is under way must arrive at the end, ms. */
const DRAIN_MS = 10_000;

/** Two agents and their connection. */
export class Couple {
  readonly topology: Topology;
  readonly a: Agent;
  readonly b: Agent;
  readonly talk: Conversation;

  constructor(topology: Topology, a: Agent, b: Agent, talk: Conversation) {
    this.topology = topology;
    this.a = a;
    this.b = b;
    this.talk = talk;
  }

  /** The worse way of both directions. */
  get way(): Way {
    return wayBetween(this.a, this.b);
  }

  /** Longest silence at either side since {@linkcode Couple.forgetGaps}, ms. */
  get longestGapMs(): number {
    const { dialer, acceptor } = this.talk;
    const { now } = this.topology;
    return Math.max(
      ...[dialer, acceptor].map((talker) =>
        Math.max(talker.longestGapMs, now - (talker.lastByteMs ?? now))
      ),
    );
  }

  /** Restarts the measurement of silence. */
  forgetGaps(): void {
    for (const talker of [this.talk.dialer, this.talk.acceptor]) talker.longestGapMs = 0;
  }

  /** Both talk all the time, for so long or until something is true. True when it became true. */
  async speak(ms: number, isEnough: () => boolean = () => false): Promise<boolean> {
    for (const end = this.topology.now + ms; this.topology.now < end;) {
      if (isEnough()) return true;
      this.talk.dialer.say(SAY_BYTES);
      this.talk.acceptor.say(SAY_BYTES);
      await this.topology.run(SAY_EVERY_MS);
    }
    return isEnough();
  }

  /** Both talk until they do so by this way. Fails when that takes too long; returns how long it took, ms. */
  async until(way: Way, limitMs: number): Promise<number> {
    const startMs = this.topology.now;
    const isThere = await this.speak(limitMs, () => this.way === way);
    assert.ok(isThere, `after ${limitMs} ms the way is ${this.way}, not ${way}`);
    return this.topology.now - startMs;
  }

  /** Everything said so far arrives, once and in order. */
  async settle(): Promise<void> {
    const { dialer, acceptor } = this.talk;
    for (const end = this.topology.now + DRAIN_MS; this.topology.now < end;) {
      if (dialer.heard === acceptor.wanted && acceptor.heard === dialer.wanted) break;
      await this.topology.run(SAY_EVERY_MS);
    }
    assert.deepEqual([dialer.error, acceptor.error], [undefined, undefined]);
    assert.deepEqual([dialer.heard, acceptor.heard], [acceptor.wanted, dialer.wanted]);
  }
}

/** Two agents that trust each other, one second after they started. */
export async function strangers(
  topology: Topology,
  from: Kind | Site = KINDS.port,
  to: Kind | Site = from,
): Promise<[Agent, Agent]> {
  const [a, b] = [await topology.agent(from), await topology.agent(to)];
  topology.trust(a, b);
  await topology.run(1_000);
  return [a, b];
}

/** Calls, and hands over the running conversation. */
export async function connect(topology: Topology, a: Agent, b: Agent): Promise<Couple> {
  const talk = await topology.world.clock.finish(topology.call(a, b));
  return new Couple(topology, a, b, talk);
}

/** Two agents in conversation by a way. */
export async function couple(
  topology: Topology,
  options: { from?: Kind | Site; to?: Kind | Site; way?: Way } = {},
): Promise<Couple> {
  const { from = KINDS.port, to = from, way = "direct" } = options;
  const both = await connect(topology, ...await strangers(topology, from, to));
  await both.until(way, 30_000);
  await both.speak(2_000);
  both.forgetGaps();
  return both;
}
