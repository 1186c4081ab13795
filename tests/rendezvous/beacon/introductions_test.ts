import assert from "node:assert/strict";
import { Introductions } from "../../../rendezvous/beacon/introductions.ts";
import {
  INTRODUCTION_TTL_MS,
  MAX_INTRODUCTIONS,
} from "../../../rendezvous/beacon/beacon_limits.ts";

/** Introductions by the pairs `5>7`, and the questions asked. */
function introductions(...pairs: string[]) {
  const allowed = new Set(pairs);
  const asked: string[] = [];
  const it = new Introductions((sender, target) => {
    asked.push(`${sender}>${target}`);
    return allowed.has(`${sender}>${target}`);
  });
  return { it, allowed, asked };
}

Deno.test("Introductions pass nodes that the target lets in, and ask once in a while", () => {
  const { it, allowed, asked } = introductions("5>7");
  assert.equal(it.admits(9, 7, 0), false);
  assert.equal(it.admits(5, 7, 0), true);
  assert.equal(it.admits(5, 7, INTRODUCTION_TTL_MS - 1), true);
  assert.deepEqual(asked, ["9>7", "5>7"]);
  allowed.clear();
  assert.equal(it.admits(5, 7, INTRODUCTION_TTL_MS), false, "trust has ended");
});

Deno.test("Introductions pass the answer to a recent sender, for as long as it may", () => {
  const { it } = introductions("5>7");
  assert.equal(it.admits(7, 5, 0), false, "the private one was not asked yet");
  it.admits(5, 7, 0);
  assert.equal(it.admits(7, 5, INTRODUCTION_TTL_MS - 1), true);
  assert.equal(it.admits(7, 5, INTRODUCTION_TTL_MS), false);
  // A stranger's frames, which are not let through, open nothing.
  it.admits(9, 7, 0);
  assert.equal(it.admits(7, 9, 0), false);
});

Deno.test("Introductions are bounded, also for the largest numbers", () => {
  const it = new Introductions(() => true);
  for (let i = 0; i < MAX_INTRODUCTIONS + 10; i++) it.admits(0xffffffff - i, 0xffffffff, 0);
  assert.equal(it.size, MAX_INTRODUCTIONS);
});
