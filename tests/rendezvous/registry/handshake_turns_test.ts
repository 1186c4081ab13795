import assert from "node:assert/strict";
import { HandshakeTurns } from "../../../rendezvous/registry/handshake_turns.ts";

/** Takes a turn and notes when it has come. */
function take(turns: HandshakeTurns, source: string, order: string[]): Promise<void> {
  const turn = turns.take(source);
  if (turn === undefined) order.push(source);
  return (turn ?? Promise.resolve()).then(() => {
    if (turn !== undefined) order.push(source);
  });
}

Deno.test("HandshakeTurns lets as many begin at once as fit a turn, and the others later", async () => {
  const turns = new HandshakeTurns(2);
  const order: string[] = [];
  const all = ["a", "b", "c", "d", "e"].map((source) => take(turns, source, order));
  assert.deepEqual(order, ["a", "b"]);
  await Promise.all(all);
  assert.deepEqual(order, ["a", "b", "c", "d", "e"]);
  turns.close();
});

Deno.test("HandshakeTurns lets a source with one handshake wait for one turn of a source with a thousand", async () => {
  const turns = new HandshakeTurns(4);
  const order: string[] = [];
  const flood = Array.from({ length: 1_000 }, () => take(turns, "flood", order));
  await take(turns, "honest", order);
  assert.ok(order.length <= 12, `${order.length} handshakes came before`);
  await Promise.all(flood);
  assert.equal(order.length, 1_001);
  turns.close();
});

Deno.test("HandshakeTurns lets everybody go at its end", async () => {
  const turns = new HandshakeTurns(1);
  const order: string[] = [];
  const all = Array.from({ length: 50 }, () => take(turns, "a", order));
  turns.close();
  await Promise.all(all);
  assert.equal(order.length, 50);
});
