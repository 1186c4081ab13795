import assert from "node:assert/strict";
import fc from "fast-check";
import { IPC_SEND_WINDOW_BYTES } from "../../protocol/ipc/mod.ts";
import {
  LEAST_SEND_WINDOW_BYTES,
  MAX_UNANSWERED_BYTES,
  SendBudget,
} from "../../sdk/send_budget.ts";
import { FakeDaemon } from "./fake_daemon.ts";
import { dialPair, type Pair, roundTrip } from "./support.ts";

/** One more connection of the same driver. */
async function dialAnother(
  { driver, client }: Pair,
  id: number,
): Promise<Pick<Pair, "conn" | "stream">> {
  const [conn, stream] = await Promise.all([
    driver.dial({ network: 0, node: 5 }, 1000),
    client.acceptDial(id),
  ]);
  return { conn, stream };
}

Deno.test("SendBudget gives few connections the whole window, and many equal ones", () => {
  for (const count of [1, 8, 16, 100, 10_000]) {
    const budget = new SendBudget();
    for (let i = 0; i < count; i++) budget.sent(1, 0);
    const equal = Math.max(LEAST_SEND_WINDOW_BYTES, Math.floor(MAX_UNANSWERED_BYTES / count));
    assert.equal(budget.window(1), Math.min(IPC_SEND_WINDOW_BYTES, equal));
  }
});

Deno.test("SendBudget keeps the sum within the budget whichever connections send, and never stops a connection for good", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ conn: fc.nat(299), answers: fc.boolean() }), { maxLength: 2000 }),
    (turns) => {
      const budget = new SendBudget();
      const held = new Array<number>(300).fill(0);
      for (const { conn, answers } of turns) {
        const before = held[conn]!;
        if (answers) {
          held[conn] = 0;
          budget.answered(before, 0);
        } else {
          const room = budget.window(before) - before;
          if (before === 0) assert.ok(room >= LEAST_SEND_WINDOW_BYTES);
          if (room <= 0) continue;
          budget.sent(room, before);
          held[conn] = before + room;
        }
        assert.equal(budget.used, held.reduce((sum, bytes) => sum + bytes, 0));
        assert.ok(budget.used <= MAX_UNANSWERED_BYTES + 300 * LEAST_SEND_WINDOW_BYTES);
      }
    },
  ));
});

Deno.test("connections whose peers do not read leave the others of the driver a window", async () => {
  await using daemon = new FakeDaemon();
  const first = await dialPair(daemon);
  const writing: Promise<void>[] = [];
  const data = new Uint8Array(2 * IPC_SEND_WINDOW_BYTES);
  const streams = [first.stream];
  const stall = async (conn: typeof first.conn) => {
    await conn.write(data).catch(() => {
      // It ends with the driver.
    });
  };
  first.stream.auto = false;
  writing.push(stall(first.conn));
  for (let i = 0; i < 40; i++) {
    const { conn, stream } = await dialAnother(first, 100 + i);
    stream.auto = false;
    streams.push(stream);
    writing.push(stall(conn));
  }
  await roundTrip(first);
  const sum = streams.reduce((bytes, { available }) => bytes + available, 0);
  assert.ok(sum > MAX_UNANSWERED_BYTES / 2, `${sum} bytes are under way`);
  assert.ok(
    sum <= MAX_UNANSWERED_BYTES + 41 * LEAST_SEND_WINDOW_BYTES,
    `${sum} bytes are under way`,
  );
  const last = await dialAnother(first, 99);
  const small = new Uint8Array(100_000);
  const sent = last.conn.write(small);
  assert.deepEqual(await last.stream.read(small.length), small);
  await sent;
  await first.driver.close();
  await Promise.all(writing);
});
