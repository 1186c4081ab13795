import assert from "node:assert/strict";
import { LARGE_REQUEST_BYTES } from "../../../rendezvous/registry/registry_limits.ts";
import { ParseTurns } from "../../../rendezvous/registry/parse_turns.ts";

Deno.test("ParseTurns lets small requests through at once, however many large ones wait", () => {
  const turns = new ParseTurns(10_000);
  assert.equal(turns.take(10_000), undefined);
  const waiting = turns.take(5_000);
  assert.ok(waiting !== undefined);
  for (let i = 0; i < 1000; i++) assert.equal(turns.take(LARGE_REQUEST_BYTES), undefined);
  turns.close();
  return waiting;
});

Deno.test("ParseTurns parses no more large requests in a turn than its budget, in order, and all in the end", async () => {
  const turns = new ParseTurns(10_000);
  const done: number[] = [];
  /** Large requests that went in the same turn of the event loop. */
  const perTurn: number[] = [];
  let inTurn = 0;
  const note = (index: number) => {
    done.push(index);
    if (inTurn++ === 0) {
      setTimeout(() => {
        perTurn.push(inTurn);
        inTurn = 0;
      });
    }
  };
  const all = Array.from({ length: 9 }, async (_, index) => {
    const turn = turns.take(5_000);
    if (turn !== undefined) await turn;
    note(index);
  });
  assert.ok(turns.waiting >= 7, "two fit the first turn");
  await Promise.all(all);
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(turns.waiting, 0);
  turns.close();
  await new Promise<void>((resolve) => setTimeout(resolve, 5)); // the notes of the last turn
  assert.ok(perTurn.every((count) => count <= 4), String(perTurn));
});

Deno.test("ParseTurns gives a request larger than a turn a turn of its own", async () => {
  const turns = new ParseTurns(5_000);
  assert.equal(turns.take(50_000), undefined);
  await turns.take(50_000);
  turns.close();
});
