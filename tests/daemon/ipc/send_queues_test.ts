import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_SEND_QUEUED_BYTES } from "../../../daemon/ipc/ipc_limits.ts";
import { SendQueues } from "../../../daemon/ipc/send_queues.ts";
import { MAX_CONNS_PER_CLIENT } from "../../../daemon/ipc/ipc_limits.ts";
import { IPC_MAX_FRAME_BYTES, IPC_SEND_WINDOW_BYTES } from "../../../protocol/ipc/mod.ts";
import { LEAST_SEND_WINDOW_BYTES, MAX_UNANSWERED_BYTES } from "../../../sdk/send_budget.ts";

Deno.test("SendQueues never stops a program of our SDK alone, whatever its peers do", () => {
  const queues = new SendQueues();
  const most = MAX_UNANSWERED_BYTES + MAX_CONNS_PER_CLIENT * LEAST_SEND_WINDOW_BYTES;
  queues.changed(most);
  assert.equal(queues.isOver(most), false);
});

Deno.test("SendQueues bounds what all clients hold together, and allows each one window", () => {
  fc.assert(fc.property(
    fc.array(
      fc.record({ client: fc.nat(19), bytes: fc.nat(IPC_MAX_FRAME_BYTES), isTaken: fc.boolean() }),
      {
        maxLength: 2000,
      },
    ),
    (turns) => {
      const queues = new SendQueues(16 << 20);
      const held = new Array<number>(20).fill(0);
      for (const { client, bytes, isTaken } of turns) {
        const before = held[client]!;
        if (before <= IPC_SEND_WINDOW_BYTES) assert.equal(queues.isOver(before), false);
        // Whether a client is read from is asked before each frame.
        if (!isTaken && queues.isOver(before)) continue;
        const change = isTaken ? -Math.min(before, bytes) : bytes;
        held[client] = before + change;
        queues.changed(change);
        const most = (16 << 20) + 20 * (IPC_SEND_WINDOW_BYTES + IPC_MAX_FRAME_BYTES);
        assert.ok(queues.bytes <= most, `${queues.bytes}`);
      }
    },
  ));
});

Deno.test("SendQueues notifies waiting clients when another client's queue has shrunk", () => {
  const queues = new SendQueues();
  let woken = 0;
  const wake = () => void woken++;
  queues.changed(MAX_SEND_QUEUED_BYTES);
  queues.await(wake);
  assert.ok(queues.isOver(2 * IPC_SEND_WINDOW_BYTES));
  queues.changed(-MAX_SEND_QUEUED_BYTES / 2);
  assert.equal(woken, 1);
  assert.equal(queues.isOver(2 * IPC_SEND_WINDOW_BYTES), false);
  queues.leave(wake);
  queues.changed(-1);
  assert.equal(woken, 1);
});
