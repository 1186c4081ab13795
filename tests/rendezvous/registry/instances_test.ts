import assert from "node:assert/strict";
import fc from "fast-check";
import { getLogger } from "../../../platform/log.ts";
import { type Clash, Instances } from "../../../rendezvous/registry/instances.ts";
import {
  INSTANCE_TTL_MS,
  MAX_INSTANCE_NODES,
} from "../../../rendezvous/registry/registry_limits.ts";

// cspell:ignore AAAABAAAABAAAAB AABABBBBBB AABBCCDDEEFF ABABA ABABAB ABCABCA

const log = getLogger(["test"]);

/** Notes beats of node 1, `"A"` each a minute behind the other; gives what each was told. */
function beats(instances: Instances, runs: string, stepMs = 60_000): (Clash | undefined)[] {
  return [...runs].map((run, n) => {
    const now = { monotonicMs: n * stepMs, seconds: 1_000 + (n * stepMs) / 1_000 };
    return instances.note(1, run, `192.0.2.${run.charCodeAt(0)}`, now);
  });
}

Deno.test("two processes that take turns learn of each other, and the log says so once", () => {
  const instances = new Instances(log);
  const told = beats(instances, "ABABAB");
  const of = (addr: string) => ({ addr, since: 1_120 });
  const [a, b] = [of("192.0.2.65"), of("192.0.2.66")];
  assert.deepEqual(told, [undefined, undefined, undefined, undefined, b, a]);
  assert.equal(instances.clashes, 1);
});

Deno.test("three copies are found, too", () => {
  assert.ok(beats(new Instances(log), "ABCABCA").at(-1) !== undefined);
});

Deno.test("processes whose beats come in different measures are found", () => {
  const told = beats(new Instances(log), "AAAABAAAABAAAAB", 10_000);
  assert.equal(told.at(-1)?.addr, "192.0.2.65");
});

Deno.test("a process that restarts, moves or has several connections is no clash, nor a late request of one that has ended", () => {
  for (const runs of ["AAAA", "AABBCCDDEEFF", "AABABBBBBB", "ABCDEFGHIJ"]) {
    const told = beats(new Instances(log), runs);
    assert.deepEqual(told.filter((clash) => clash !== undefined), [], runs);
  }
  const instances = new Instances(log);
  for (let n = 0; n < 20; n++) { // by four addresses in turn
    const now = { monotonicMs: n * 1_000, seconds: n };
    assert.equal(instances.note(1, "A", `192.0.2.${n % 4}`, now), undefined);
  }
});

Deno.test("restarts never make a clash, however many", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (lives) => {
    const runs = lives.map((beats, n) => String.fromCharCode(0x100 + n).repeat(beats)).join("");
    return beats(new Instances(log), runs).every((clash) => clash === undefined);
  }));
});

Deno.test("a clash is over some time after the other process has ended", () => {
  const instances = new Instances(log);
  beats(instances, "ABABA");
  const at = (ms: number) => ({ monotonicMs: ms, seconds: ms / 1_000 });
  const lastTurnMs = 4 * 60_000;
  assert.ok(instances.note(1, "A", "x", at(lastTurnMs + INSTANCE_TTL_MS - 1)) !== undefined);
  assert.equal(instances.note(1, "A", "x", at(lastTurnMs + INSTANCE_TTL_MS)), undefined);
});

Deno.test("nodes that were silent for longest are forgotten beyond the bound", () => {
  const instances = new Instances(log);
  beats(instances, "ABABA");
  const now = { monotonicMs: 5 * 60_000, seconds: 0 };
  assert.ok(instances.note(1, "B", "x", now) !== undefined);
  for (let node = 2; node <= MAX_INSTANCE_NODES + 1; node++) instances.note(node, "A", "x", now);
  assert.equal(instances.note(1, "A", "x", now), undefined);
});

Deno.test("nodes whose software names no runs push nobody out, and are noticed beside a run that is named", () => {
  const instances = new Instances(log);
  beats(instances, "ABABA");
  const now = { monotonicMs: 5 * 60_000, seconds: 0 };
  for (let node = 2; node <= MAX_INSTANCE_NODES + 1; node++) instances.note(node, "", "x", now);
  assert.ok(instances.note(1, "A", "x", now) !== undefined, "still known");
  const mixed = new Instances(log);
  mixed.note(2, "", "x", now);
  let clash;
  for (let i = 0; i < 4; i++) {
    clash = [mixed.note(2, "A", "y", now), mixed.note(2, "", "x", now)][1];
  }
  assert.equal(clash?.addr, "y");
});
