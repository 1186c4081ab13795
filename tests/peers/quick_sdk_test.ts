/**
 * The published v1.18 release, unmodified, against ours in a namespace that has only loopback: its daemon, its command
 * line and its Python SDK. `deno task test:peers` runs it and prints the table. Needs root, Python with pip and the
 * package index.
 */

import assert from "node:assert/strict";
import { whyNot } from "../nat/net/namespaces.ts";
import { DATA } from "./operations/data.ts";
import { LIFECYCLE } from "./operations/lifecycle.ts";
import { type Operation, Side } from "./operations/operation.ts";
import { QUIET, RELAYED, RENEWED_OFTEN } from "./operations/paths.ts";
import { REGISTRY } from "./operations/registry.ts";
import { SDK } from "./operations/sdk.ts";
import { ACQUAINTANCE, CONSENT, RENEWAL } from "./operations/trust.ts";
import { Table } from "./table.ts";
import { whyNotPublished } from "./world/published.ts";
import { PeersWorld } from "./world/world.ts";

/** Lines of each daemon's log that go with a failure. */
const LOG_LINES = 60;
const ASKED = "PILOT_TEST_PEERS";
const SKIP_REASON = Deno.env.get(ASKED) !== "1"
  ? "run by deno task test:peers"
  : await whyNot() || await whyNotPublished();

/** Runs operations in order from one side to the other one. */
async function runAll(
  table: Table,
  world: PeersWorld,
  operations: readonly Operation[],
  [from, to]: readonly [Side, Side],
  suffix = "",
): Promise<void> {
  const pairing = `${from} > ${to}${suffix}`;
  for (const { name, cannot, run } of operations) {
    const why = cannot?.(from, to);
    if (why !== undefined) {
      table.note(pairing, name, { is: "peer cannot", why });
      continue;
    }
    const startMs = performance.now();
    try {
      await run(from, to, world);
      table.note(pairing, name, { is: "ok", ms: performance.now() - startMs });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const logs = await Promise.all([from, to].map(({ agent }) => lastLines(agent.log)));
      table.note(pairing, name, { is: "failed", why: [text.slice(0, 600), ...logs].join("\n") });
    }
  }
}

/** What a daemon said last. */
async function lastLines(log: string): Promise<string> {
  const lines = (await Deno.readTextFile(log)).trimEnd().split("\n");
  return lines.slice(-LOG_LINES).map((line) => `    ${line}`).join("\n");
}

Deno.test({
  name: SKIP_REASON === ""
    ? "v1.18 and ours understand each other"
    : `real peers (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 900_000,
  async fn() {
    const table = new Table();
    await using world = await PeersWorld.create();
    const pair = async (name: string) => {
      const theirs = await world.agent("v1.18", `theirs-${name}`);
      const ours = await world.agent("ours", `ours-${name}`);
      return [new Side(theirs, "v1.18"), new Side(ours, "ours")] as const;
    };
    const plain = await pair("main");
    const w = runAll(table, world, RENEWED_OFTEN, await pair("often"));
    await runAll(table, world, CONSENT, plain);
    await runAll(table, world, SDK, [plain[1], plain[0]]);
    await w;
    console.log(table.toString());
    assert.deepEqual(table.failures, []);
  },
});
