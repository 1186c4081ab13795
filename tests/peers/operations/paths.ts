/**
 * Which way the traffic of a pair goes: the relay where it must, never where it need not.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Agent } from "../world/agent.ts";
import { befriend, nodeOf, type Operation, retried, type Side } from "./operation.ts";

const MINUTE_MS = 60_000;
/** Idle for so long. */
const IDLE_MS = 3 * MINUTE_MS;
/** A path by the relay that lasts no longer than this is an artifact of the first frame of a new key, ms. */
const MOMENT_MS = 2_000;
/** How often trust is ended and renewed. */
const RENEWALS = 20;
/** A minute of silence after each of these. */
const SILENT_AFTER = [6, 13];

/** What daemons write when they leave the direct path. */
const LEFT_DIRECT = {
  "ours": "relay=true",
  "v1.18": "flipping to relay",
} as const;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function leftDirect(...sides: Side[]): Promise<string[]> {
  const lines = await Promise.all(sides.map(({ agent }) => agent.said(LEFT_DIRECT[agent.kind])));
  return lines.flat();
}

/** From when to when, ms since 1970. */
type Span = readonly [fromMs: number, toMs: number];

/** When ours sent by the relay. */
async function relayedSpans(agent: Agent): Promise<Span[]> {
  const spans: Span[] = [];
  let sinceMs: number | undefined;
  for (const line of await agent.said("tunnel.path_changed")) {
    const atMs = Date.parse(/time=(\S+)/.exec(line)![1]!);
    if (line.includes("relay=true")) sinceMs ??= atMs;
    else if (sinceMs !== undefined) {
      spans.push([sinceMs, atMs]);
      sinceMs = undefined;
    }
  }
  return sinceMs === undefined ? spans : [...spans, [sinceMs, Infinity]];
}

function overlapMs([fromMs, toMs]: Span, [otherFromMs, otherToMs]: Span): number {
  return Math.max(0, Math.min(toMs, otherToMs) - Math.max(fromMs, otherFromMs));
}

async function assertDirect(...sides: [Side, Side]): Promise<void> {
  for (const [from, to] of [sides, sides.toReversed()] as [Side, Side][]) {
    const { peers } = await from.run("peers");
    const peer = peers.find(({ node_id }: { node_id: number }) => node_id === to.agent.node);
    assert.equal(peer?.relay, false, `${from} has the other on the relay`);
  }
}

/** Of a pair whose direct way is blocked before it has met. */
export const RELAYED: readonly Operation[] = [
  {
    name: "relay: consent, pings, a message, a file",
    run: async (from, to, world) => {
      await using _blocked = await world.blocked(from.agent, to.agent);
      await befriend(from, to);
      await retried(from, ["ping", nodeOf(to), "--count", "1", "--timeout", "20s"]);
      await retried(to, ["ping", nodeOf(from), "--count", "1", "--timeout", "20s"]);
      await from.run("send-message", nodeOf(to), "--data", "over the relay");
      const path = world.path("relayed.bin");
      await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(60_000)));
      await from.run("send-file", nodeOf(to), path);
      await to.run("send-file", nodeOf(from), path);
      const { peers } = await from.run("peers");
      const peer = peers.find(({ node_id }: { node_id: number }) => node_id === to.agent.node);
      assert.equal(peer?.relay, true);
    },
  },
];

/** Of a pair that nobody disturbs. */
export const QUIET: readonly Operation[] = [
  {
    name: "idle for three minutes: stays on the direct path",
    run: async (from, to) => {
      await befriend(from, to);
      await from.run("ping", nodeOf(to), "--count", "1");
      const before = await leftDirect(from, to);
      await pause(IDLE_MS);
      await assertDirect(from, to);
      assert.deepEqual(await leftDirect(from, to), before);
      await to.run("ping", nodeOf(from), "--count", "1");
    },
  },
];

/** Of a pair that ends trust and renews it. */
export const RENEWED_OFTEN: readonly Operation[] = [
  {
    name: `trust ended and renewed ${RENEWALS} times: never dead, never off the direct path`,
    run: async (from, to) => {
      await befriend(from, to);
      await from.run("ping", nodeOf(to), "--count", "1");
      const before = (await leftDirect(from, to)).filter((line) =>
        line.includes(LEFT_DIRECT["v1.18"])
      );
      // A node that has ended trust does not learn where the other is: the path there may then be the relay.
      const trusted: Span[] = [];
      let trustedSinceMs = Date.now();
      for (let round = 1; round <= RENEWALS; round++) {
        trusted.push([trustedSinceMs, Date.now()]);
        const [ends, other] = round % 2 === 0 ? [from, to] : [to, from];
        await ends.run("untrust", nodeOf(other));
        if (SILENT_AFTER.includes(round)) await pause(MINUTE_MS);
        await befriend(other, ends);
        trustedSinceMs = Date.now();
        for (const [a, b] of [[from, to], [to, from]] as const) {
          const { results } = await a.run("ping", nodeOf(b), "--count", "1", "--timeout", "10s");
          assert.ok(results[0].rtt_ms > 0, `dead in round ${round}`);
        }
        await assertDirect(from, to);
      }
      // Ours may hear a peer that has made a new key by the relay first, for a moment.
      const { agent } = from.agent.kind === "ours" ? from : to;
      trusted.push([trustedSinceMs, Date.now()]);
      for (const relayed of await relayedSpans(agent)) {
        const ms = Math.max(...trusted.map((span) => overlapMs(relayed, span)));
        assert.ok(ms < MOMENT_MS, `relayed for ${ms} ms`);
      }
      const theirs = from.agent.kind === "ours" ? to : from;
      assert.deepEqual(await theirs.agent.said(LEFT_DIRECT["v1.18"]), before);
    },
  },
];
