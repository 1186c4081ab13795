/** What is lost and how it is repaired, rule by rule: RFC 5681, 6582, 6675, 6937, 8985; with 100 ms to the peer and back. */

import assert from "node:assert/strict";
import { Recovery } from "../../../protocol/stream/recovery.ts";
import { MSS, Rig, RTO, RTT } from "./recovery_rig.ts";

Deno.test("RFC 6582 §3.2: the third duplicate means a loss, the second does not", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 10);
  for (const now of [100, 101]) {
    assert.equal(rig.ack(now, 0), false);
    assert.deepEqual([recovery.active, rig.lost, rig.told], [false, [], []]);
  }
  rig.ack(102, 0);
  assert.deepEqual(rig.calls, [["loss", 10 * MSS, 102]]);
  assert.deepEqual([recovery.active, recovery.isTimedOut, rig.lost], [true, false, [0]]);
  const { duplicateAcks, fastRetransmits, retransmits } = recovery.counters;
  assert.deepEqual([duplicateAcks, fastRetransmits, retransmits], [3, 1, 0]);
  // More of them are the same loss.
  for (const now of [103, 104, 105]) rig.ack(now, 0);
  assert.deepEqual([rig.told, rig.lost, recovery.counters.duplicateAcks], [["loss"], [0], 6]);
});

Deno.test("RFC 5681 §2: only what could be a duplicate counts as one", () => {
  const rig = new Rig();
  const { recovery } = rig;
  for (let i = 0; i < 3; i++) rig.ack(1, 0); // nothing is in flight
  rig.send(2, 5);
  rig.ack(102, 1);
  for (let i = 0; i < 3; i++) recovery.onAck(MSS, [], false, 103); // it carries data, or another window
  for (let i = 0; i < 3; i++) rig.ack(104, 0); // an old one that was overtaken
  recovery.suspend();
  for (let i = 0; i < 3; i++) rig.ack(105, 1); // answers to probes of a closed window
  recovery.resume(106);
  assert.deepEqual([recovery.counters.duplicateAcks, recovery.active], [0, false]);
  // Progress restarts the count.
  for (const below of [1, 1, 2, 2, 2]) rig.ack(107, below);
  assert.deepEqual([recovery.counters.duplicateAcks, recovery.active], [4, false]);
  rig.ack(108, 2);
  assert.equal(recovery.active, true);
});

Deno.test("RFC 6675 §2: a peer that reports what it has is not judged by plain duplicates", () => {
  const rig = new Rig();
  rig.send(0, 10);
  rig.ack(50, 0, [1, 2]);
  for (let i = 0; i < 5; i++) rig.ack(51, 0);
  const { sackReceived, duplicateAcks } = rig.recovery.counters;
  assert.deepEqual([sackReceived, duplicateAcks], [1, 6]);
  assert.deepEqual([rig.recovery.active, rig.lost], [false, []]);
  rig.ack(52, 1, [2, 3]);
  assert.equal(rig.recovery.counters.duplicateAcks, 6, "one that acknowledges more is none");
  assert.equal(rig.recovery.counters.sackReceived, 2);
});

Deno.test("RFC 6582 §3.2: without reports each partial acknowledgement uncovers the next hole", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 10);
  for (let i = 0; i < 3; i++) rig.ack(100, 0);
  assert.deepEqual([recovery.takeUrgent(), recovery.takeUrgent()], [true, false]);
  assert.equal(rig.resend(100), 0);
  rig.ack(150, 0);
  assert.deepEqual(rig.lost, [], "a duplicate uncovers none");
  rig.ack(200, 3);
  assert.deepEqual([rig.lost, recovery.takeUrgent()], [[3], true]);
  assert.equal(rig.resend(200), 3);
  // An acknowledgement inside of what has been repeated says nothing of that.
  rig.recovery.onAck(3.5 * MSS, [], true, 250);
  assert.deepEqual([rig.lost, recovery.takeUrgent()], [[], false]);
  rig.ack(300, 10);
  assert.deepEqual([rig.lost, recovery.active], [[], false]);
  rig.send(300, 3);
  rig.ack(400, 11);
  assert.deepEqual(rig.lost, [], "there is no hole after the recovery");
});

Deno.test("RFC 6582 §3.2: one segment in flight can be found lost, too, and the first recovery's urgency ends with a timeout", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0);
  assert.equal(recovery.takeUrgent(), false);
  for (let i = 0; i < 3; i++) rig.ack(100, 0);
  assert.equal(recovery.active, true);
  recovery.onTimer(RTO);
  assert.deepEqual([recovery.isTimedOut, recovery.takeUrgent()], [true, false]);
});

Deno.test("RFC 6937 §3.1: without reports a partial acknowledgement has its segment more, too", () => {
  const rig = new Rig({ afterLoss: 40 });
  rig.send(0, 10);
  for (let i = 0; i < 3; i++) rig.ack(100, 0);
  rig.resend(100);
  rig.ack(200, 3);
  assert.equal(rig.board.flight.bytes, 6 * MSS);
  assert.equal(rig.recovery.window, (6 + 3 + 1) * MSS);
});

Deno.test("RFC 6675 §5: recovery lasts until everything is acknowledged that was sent before it", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 10);
  rig.ack(100, 0, [1, 4]);
  assert.deepEqual([rig.lost, recovery.takeUrgent()], [[0], true]);
  rig.resend(100);
  rig.send(110, 2);
  rig.ack(200, 9);
  assert.equal(recovery.active, true);
  rig.ack(201, 10);
  assert.equal(recovery.active, false);
  assert.deepEqual([rig.told, recovery.counters.fastRetransmits], [["loss"], 1]);
  // The next loss is a new one.
  rig.send(202, 8);
  rig.ack(302, 10, [11, 15]);
  assert.deepEqual([rig.told, recovery.active], [["loss", "loss"], true]);
  assert.deepEqual(rig.calls.findLast(([name]) => name === "loss"), ["loss", 10 * MSS, 302]);
});

Deno.test("RFC 6937 §3.1: while more is in flight than the target, it shrinks by the part that was reduced", () => {
  const rig = new Rig({ afterLoss: 5 });
  const { recovery } = rig;
  rig.send(0, 10);
  assert.equal(recovery.window, 10 * MSS, "without a loss the congestion window counts");
  rig.ack(100, 0, [1, 4]);
  // Six on the way; of the three that arrived a half may be replaced.
  assert.equal(rig.board.flight.bytes, 6 * MSS);
  assert.equal(recovery.window, 7.5 * MSS);
  rig.resend(100);
  rig.ack(101, 0, [1, 5]);
  assert.equal(rig.board.flight.bytes, 6 * MSS);
  assert.equal(recovery.window, 7 * MSS, "half of four, less the one that was sent again");
  rig.send(101);
  rig.ack(102, 0, [1, 7]);
  assert.equal(rig.board.flight.bytes, 5 * MSS);
  assert.equal(recovery.window, 5 * MSS);
});

Deno.test("RFC 6937 §3.1: below the target one segment more leaves, if the acknowledgement moved and found no loss", () => {
  for (
    const [below, blocks, size, room] of [
      // Delivered less sent is four, and one more.
      [5, [], MSS, 4 * MSS + MSS],
      [5, [], 1.5 * MSS, 4 * MSS + 1.5 * MSS],
      // It did not move.
      [0, [[1, 5]], MSS, 3 * MSS],
      // Another hole came to light.
      [5, [[6, 9]], MSS, 7 * MSS],
    ] as const
  ) {
    const rig = new Rig({ afterLoss: 40 });
    rig.send(0, 5);
    rig.send(100, 15);
    rig.ack(100, 0, [1, 4]);
    rig.resend(100);
    rig.recovery.setMss(size);
    rig.ack(200, below, ...blocks);
    assert.equal(rig.recovery.window - rig.board.flight.bytes, room, `${below} ${blocks}`);
  }
});

Deno.test("the congestion window grows by what is delivered outside of fast recovery, and after its end again", () => {
  const rig = new Rig();
  rig.send(0, 10);
  rig.ack(100, 2, [5, 6]);
  assert.deepEqual(rig.calls, [["ack", 3 * MSS, 10 * MSS, 100, RTT]]);
  rig.ack(130, 2, [5, 8]);
  assert.deepEqual(rig.told, ["loss"]);
  rig.ack(140, 4, [5, 8]);
  assert.equal(rig.calls.length, 2, "the rate reduction counts for these");
  rig.ack(150, 10);
  assert.deepEqual(rig.calls.at(-1)!.slice(0, 2), ["ack", 3 * MSS]);
});

Deno.test("RFC 7661 §4: what counts as used is the peak of the flight in this round trip and in the last", () => {
  const rig = new Rig();
  const used = () => rig.calls.at(-1)![2] as number / MSS;
  rig.send(0, 10);
  rig.ack(100, 1);
  assert.equal(used(), 10);
  rig.ack(101, 2);
  assert.equal(used(), 10, "not what happens to be left");
  rig.ack(102, 9);
  rig.send(103, 1);
  assert.equal(used(), 10);
  rig.ack(104, 10);
  assert.equal(used(), 10, "the last round trip counts still");
  rig.ack(105, 11);
  assert.equal(used(), 2, "and no longer");
  rig.send(200, 5);
  rig.ack(300, 12);
  assert.equal(used(), 5);
});

Deno.test("RFC 8985 §6.2: a recovery is undone when every repetition crossed the acknowledgement of what it repeated", () => {
  /** Two losses, so many of them repeated, and the first acknowledged so soon after. */
  const repaired = (repetitions: number, afterMs: number) => {
    const rig = new Rig();
    rig.send(0, 10);
    rig.ack(100, 0, [2, 6]);
    assert.deepEqual(rig.lost, [0, 1]);
    for (let i = 0; i < repetitions; i++) rig.resend(100);
    rig.ack(100 + afterMs, 1, [2, 6]);
    return rig;
  };
  const undone = repaired(1, 20);
  assert.deepEqual([undone.told, undone.recovery.active], [["loss", "undo"], false]);
  for (const [repetitions, afterMs] of [[1, 90], [2, 20], [0, 20]] as const) {
    const rig = repaired(repetitions, afterMs);
    assert.deepEqual(rig.told, ["loss"], `${repetitions} after ${afterMs} ms`);
    assert.equal(rig.recovery.active, true);
  }
  // Each recovery is judged by its own repetitions.
  for (
    const [needless, told] of [[true, ["loss", "loss", "undo"]], [false, ["loss", "loss"]]] as const
  ) {
    const next = repaired(2, 20);
    next.ack(200, 10);
    next.send(1_000, 10);
    next.ack(1_100, 10, [11, 15]);
    next.recovery.onTimer(1_150); // what was repeated for nothing has taught it to wait
    next.resend(1_150);
    next.ack(needless ? 1_160 : 1_250, 11, [11, 15]);
    assert.deepEqual(next.told, told);
  }
  const both = repaired(2, 20);
  both.ack(121, 2, [2, 6]);
  assert.deepEqual(both.told, ["loss", "undo"]);
});

Deno.test("RFC 6937 §3: what was in flight when the timer found the loss is what shrinks", () => {
  const rig = new Rig({ afterLoss: 5 });
  rig.send(0, 2);
  rig.ack(100, 0, [1, 2]);
  rig.send(101, 8);
  rig.recovery.onTimer(125);
  assert.equal(rig.board.flight.bytes, 8 * MSS);
  rig.ack(130, 0, [1, 3]);
  assert.equal(rig.recovery.window, 7 * MSS + Math.ceil(MSS * 5 / 9));
});

Deno.test("what is repeated is counted, and nothing is left after the end", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 10);
  rig.ack(100, 0, [2, 6]);
  rig.resend(100);
  rig.resend(100);
  assert.equal(recovery.counters.retransmits, 2);
  recovery.stop();
  assert.deepEqual([recovery.active, recovery.deadline], [false, Infinity]);
});

Deno.test("a round trip is reported before the growth that it explains, and only when there is a sample", () => {
  const rig = new Rig();
  const rtts: unknown[] = [];
  const board = rig.board;
  const recovery = new Recovery(board, {
    window: MSS,
    threshold: Infinity,
    onRtt: (_rtt, una, next) => void rtts.push(["rtt", una, next]),
    onAck: () => void rtts.push(["ack"]),
    onLoss: () => {},
    onTimeout: () => {},
    undo: () => {},
    onIdle: () => {},
    setMss: () => {},
  }, MSS);
  recovery.resume(0);
  for (let i = 0; i < 3; i++) board.sent(MSS, 0);
  recovery.onAck(2 * MSS, [], true, 100);
  assert.deepEqual(rtts, [["rtt", 2 * MSS, 3 * MSS], ["ack"]]);
  recovery.onAck(2.5 * MSS, [], true, 110);
  assert.deepEqual(rtts.slice(2), [["ack"]], "no segment arrived whole");
});
