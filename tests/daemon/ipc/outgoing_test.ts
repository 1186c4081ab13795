import assert from "node:assert/strict";
import { type FrameSource, Outgoing } from "../../../daemon/ipc/outgoing.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A client whose socket takes what the test lets it take. */
function setup() {
  const clock = new ManualClock();
  const writes: Uint8Array[] = [];
  const dead: [string, boolean][] = [];
  let gate: PromiseWithResolvers<void> | undefined;
  const out = new Outgoing({
    clock,
    write: async (bytes) => {
      writes.push(bytes.slice());
      await gate?.promise;
      return bytes.length;
    },
    onDead: (reason, alive) => void dead.push([reason, alive]),
    onRoom: () => {},
  });
  return {
    clock,
    out,
    writes,
    dead,
    block: () => void (gate = Promise.withResolvers()),
    unblock: () => {
      gate?.resolve();
      gate = undefined;
    },
  };
}

/** A source of `count` one-byte frames of value `value`. */
function source(value: number, count: number): FrameSource {
  let left = count;
  return {
    queued: false,
    get ready() {
      return left > 0;
    },
    pull(out, offset) {
      left--;
      out[offset] = value;
      return offset + 1;
    },
  };
}

Deno.test("Outgoing joins the frames of one turn into one write", async () => {
  const { out, writes } = setup();
  for (let n = 0; n < 100; n++) out.push(Uint8Array.of(n));
  await out.flushed();
  assert.equal(writes.length, 1);
  assert.deepEqual(writes[0], Uint8Array.from({ length: 100 }, (_, n) => n));
  out.stop();
});

Deno.test("Outgoing puts replies before stream data and takes sources in turn", async () => {
  const { out, writes } = setup();
  out.offer(source(1, 2));
  out.offer(source(2, 2));
  out.push(Uint8Array.of(9));
  await out.flushed();
  assert.deepEqual([...writes[0]!], [9, 1, 2, 1, 2]);
  out.stop();
});

Deno.test("Outgoing writes a reply that exceeds its buffer, and keeps the order", async () => {
  const { out, writes } = setup();
  out.push(Uint8Array.of(1));
  out.push(new Uint8Array(500_000).fill(2));
  out.push(Uint8Array.of(3));
  out.offer(source(4, 1));
  await out.flushed();
  const all = writes.flatMap((write) => [write[0], write.length]);
  assert.deepEqual(all, [1, 1, 2, 500_000, 3, 2]);
  out.stop();
});

Deno.test("Outgoing drops datagrams above its bound and counts them", async () => {
  const rig = setup();
  rig.block();
  rig.out.pushDatagram(new Uint8Array(1));
  await Promise.resolve(); // the pump takes the first
  await Promise.resolve();
  for (let n = 0; n < 30; n++) rig.out.pushDatagram(new Uint8Array(60_000));
  assert.equal(rig.out.droppedDatagrams, 30 - 17);
  rig.unblock();
  await rig.out.flushed();
  rig.out.stop();
});

Deno.test("Outgoing waits for a client however long it takes nothing", async () => {
  const rig = setup();
  rig.block();
  rig.out.push(Uint8Array.of(1));
  await rig.clock.run(1);
  rig.out.push(Uint8Array.of(2));
  rig.out.offer(source(3, 2));
  await rig.clock.run(3_600_000);
  assert.deepEqual([rig.dead, rig.out.dead], [[], false]);
  rig.unblock();
  await rig.out.flushed();
  assert.deepEqual(rig.writes.map((bytes) => [...bytes]), [[1], [2, 3, 3]]);
});

Deno.test("Outgoing gives up on a client whose unread replies pass 16 MiB", () => {
  const rig = setup();
  rig.block();
  for (let n = 0; n < 17 && rig.dead.length === 0; n++) {
    rig.out.push(new Uint8Array(1024 * 1024));
  }
  assert.deepEqual(rig.dead, [["it does not read its replies", true]]);
  rig.unblock();
});
