/** Loss recovery rule by rule: RFC 5681, 6298, 6582, 6675, 6937, 8985, with 100 ms to the peer and back. */

import assert from "node:assert/strict";
import type { CongestionControl } from "../../../protocol/stream/congestion.ts";
import { Recovery } from "../../../protocol/stream/recovery.ts";
import { Scoreboard } from "../../../protocol/stream/scoreboard.ts";
import { SeqSpace } from "../../../protocol/stream/seq.ts";

const MSS = 1000;
/** Smoothed round trip, milliseconds; the first sample makes the timeout three times as long. */
const RTT = 100;
const RTO = 300;
const SPACE = new SeqSpace(1_000_000);

/** Segments from and up to a number. */
type Block = readonly [from: number, to: number];

/** A sender of segments of one size, numbered from 0, and everything its congestion control was told. */
class Rig {
  readonly calls: unknown[][] = [];
  readonly board = new Scoreboard(SPACE, { minRtoMs: 200, maxRtoMs: 60_000 }, 7);
  readonly recovery: Recovery;
  /** What the congestion control allows, bytes. */
  window = 10 * MSS;

  constructor({ rttMs = RTT, samples = 1, afterLoss }: {
    rttMs?: number;
    samples?: number;
    afterLoss?: number;
  } = {}) {
    const window = () => this.window;
    const told = (name: string) => (...what: unknown[]) => void this.calls.push([name, ...what]);
    const congestion: CongestionControl = {
      get window() {
        return window();
      },
      threshold: Infinity,
      onAck: told("ack"),
      onLoss: (...what) => {
        told("loss")(...what);
        this.window = afterLoss === undefined ? this.window / 2 : afterLoss * MSS;
      },
      onTimeout: told("timeout"),
      undo: told("undo"),
      onIdle: told("idle"),
      setMss: told("mss"),
    };
    this.recovery = new Recovery(this.board, congestion, MSS);
    for (let i = 0; i < samples; i++) this.board.rtt.sample(rttMs, 0);
    this.recovery.resume(0);
  }

  /** Sends new segments. */
  send(now: number, count = 1): void {
    for (let i = 0; i < count; i++) {
      this.board.sent(MSS, now);
      this.recovery.onSent(MSS, now);
    }
  }

  /** Sends what is lost again, the first in line; gives its number. */
  resend(now: number): number {
    const lost = this.board.flight.nextLost;
    assert.ok(lost !== undefined, "nothing is lost");
    this.board.flight.resent(lost, now);
    this.recovery.onResent(lost.end - lost.offset, now);
    return lost.offset / MSS;
  }

  /** Everything below a segment has arrived, and what lies in some blocks. */
  ack(now: number, below: number, ...blocks: Block[]): boolean {
    const sacks = blocks.map(([left, right]) => ({
      left: SPACE.toWire(left * MSS),
      right: SPACE.toWire(right * MSS),
    }));
    return this.recovery.onAck(below * MSS, sacks, true, now);
  }

  /** Runs timers up to a time; tail probes leave at once. Gives the times at which something was due. */
  pass(until: number): number[] {
    const times: number[] = [];
    while (this.recovery.deadline <= until) {
      const now = this.recovery.deadline;
      times.push(now);
      this.recovery.onTimer(now);
      if (this.recovery.takeProbeDue()) this.recovery.onProbeSent();
    }
    return times;
  }

  /** Numbers of the segments that wait to be sent again, in order. */
  get lost(): number[] {
    const numbers: number[] = [];
    for (let s = this.board.flight.nextLost; s !== undefined; s = s.next) {
      numbers.push(s.offset / MSS);
    }
    return numbers;
  }

  /** Names of what the congestion control was told, growth apart. */
  get told(): unknown[] {
    return this.calls.map(([name]) => name).filter((name) => name !== "ack");
  }
}

Deno.test("RFC 6298 §5: the timer starts with the first segment, restarts with progress, and ends with the last", () => {
  const rig = new Rig({ rttMs: 40 }); // a timeout of 200 ms, the least
  const { recovery } = rig;
  assert.equal(recovery.deadline, Infinity);
  rig.send(0);
  rig.send(30);
  rig.pass(150); // the tail probe
  assert.equal(recovery.deadline, 200, "the second one does not restart it");
  assert.ok(rig.ack(160, 1));
  const { rto } = rig.board.rtt;
  rig.pass(160 + rto - 1);
  assert.equal(recovery.counters.timeouts, 0);
  assert.equal(recovery.deadline, 160 + rto);
  assert.ok(rig.ack(170, 2));
  assert.equal(recovery.deadline, Infinity);
  recovery.onTimer(10_000);
  assert.deepEqual([recovery.counters.timeouts, recovery.active], [0, false]);
});

Deno.test("RFC 6298 §5.3: what brings nothing new does not restart the timer", () => {
  const rig = new Rig();
  rig.send(0, 2);
  assert.equal(rig.ack(50, 0), false);
  assert.equal(rig.recovery.onAck(0, [], false, 60), false);
  rig.pass(RTO);
  assert.equal(rig.recovery.counters.timeouts, 1);
});

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
  // Progress begins the count anew.
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

Deno.test("RFC 8985 §7.2: a probe is due after two round trips, and the peer's delay where it may wait for a second segment", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0);
  assert.equal(recovery.deadline, 2 * RTT + 40);
  rig.send(5);
  assert.equal(recovery.deadline, 5 + 2 * RTT, "the second one is acknowledged at once");
  rig.send(50);
  assert.equal(recovery.deadline, 5 + 2 * RTT, "further ones change nothing");
  recovery.onTimer(204);
  assert.equal(recovery.takeProbeDue(), false);
  recovery.onTimer(205);
  assert.deepEqual([recovery.takeProbeDue(), recovery.takeProbeDue()], [true, false]);
  assert.equal(recovery.deadline, RTO, "one probe, then the timeout");
});

Deno.test("RFC 8985 §7.2: a probe waits 10 ms at least, and comes not beyond the timeout", () => {
  const near = new Rig({ rttMs: 1 });
  near.send(0, 2);
  assert.equal(near.recovery.deadline, 10);
  const fair = new Rig({ rttMs: 6 });
  fair.send(0, 2);
  assert.equal(fair.recovery.deadline, 12);
  // So steady a path that the timeout is as short as two round trips.
  const steady = new Rig({ samples: 40 });
  assert.equal(steady.board.rtt.rto, 2 * RTT);
  steady.send(0, 2);
  steady.recovery.onTimer(2 * RTT);
  assert.deepEqual(
    [steady.recovery.counters.timeouts, steady.recovery.takeProbeDue()],
    [1, false],
  );
});

Deno.test("RFC 8985 §7.2: no probe without a round trip measured, during a recovery, or while one is outstanding", () => {
  const unknown = new Rig({ samples: 0 });
  unknown.send(0, 2);
  assert.equal(unknown.recovery.deadline, 1000, "the timeout alone");
  const repairing = new Rig();
  repairing.send(0, 10);
  repairing.ack(100, 0, [1, 4]);
  assert.equal(repairing.recovery.deadline, 100 + repairing.board.rtt.rto);
  const rig = new Rig();
  rig.send(0, 3);
  assert.deepEqual(rig.pass(250), [200]);
  rig.send(250);
  rig.ack(260, 1);
  const { rto } = rig.board.rtt;
  assert.equal(rig.recovery.deadline, 260 + rto, "the probe's own acknowledgement is awaited");
  rig.ack(270, 3);
  assert.deepEqual(rig.told, []);
  assert.ok(rig.recovery.deadline < 270 + rig.board.rtt.rto, "then the next may come");
});

Deno.test("RFC 8985 §7.2: progress sets the time of the probe anew", () => {
  const rig = new Rig();
  rig.send(0, 4);
  rig.ack(100, 1);
  assert.equal(rig.recovery.deadline, 100 + 2 * RTT);
  rig.ack(110, 3);
  const { srtt } = rig.board.rtt;
  assert.equal(rig.recovery.deadline, Math.min(110 + 2 * srtt + 40, 110 + rig.board.rtt.rto));
});

Deno.test("a probe that is due does not leave when everything has arrived, the window has closed, or all ended", () => {
  const due = () => {
    const rig = new Rig();
    rig.send(0, 2);
    rig.recovery.onTimer(2 * RTT);
    return rig;
  };
  const arrived = due();
  arrived.ack(201, 2);
  assert.equal(arrived.recovery.takeProbeDue(), false);
  const closed = due();
  closed.recovery.suspend();
  closed.recovery.resume(300);
  assert.equal(closed.recovery.takeProbeDue(), false);
  const ended = due();
  ended.recovery.stop();
  assert.deepEqual([ended.recovery.takeProbeDue(), ended.recovery.deadline], [false, Infinity]);
  const late = due();
  late.recovery.onTimer(RTO);
  late.resend(RTO);
  assert.deepEqual([late.recovery.isTimedOut, late.recovery.takeProbeDue()], [true, false]);
});

Deno.test("RFC 5681 §3.1: a repeated timeout of the same loss is no new sign of congestion, and waits twice as long", () => {
  const rig = new Rig();
  const { recovery, board } = rig;
  rig.send(0, 3);
  rig.pass(RTO - 1);
  assert.equal(recovery.active, false);
  recovery.onTimer(RTO);
  assert.deepEqual(rig.calls, [["timeout", 3 * MSS, RTO]]);
  assert.deepEqual([recovery.active, recovery.isTimedOut, rig.lost], [true, true, [0, 1, 2]]);
  assert.equal(recovery.window, rig.window, "the congestion window counts");
  assert.equal(recovery.takeUrgent(), false);
  assert.ok(board.rtt.rto >= 2 * RTO && board.rtt.rto <= 2.2 * RTO);
  assert.equal(recovery.deadline, RTO + board.rtt.rto);
  rig.resend(RTO);
  const second = recovery.deadline;
  assert.equal(second, RTO + board.rtt.rto, "sending does not move it");
  recovery.onTimer(second);
  assert.equal(recovery.counters.timeouts, 2);
  assert.deepEqual(rig.told, ["timeout"]);
  assert.ok(board.rtt.rto >= 4 * RTO);
  assert.equal(recovery.deadline, second + board.rtt.rto);
  // With progress between them it is.
  rig.resend(second);
  rig.ack(second + RTT, 1);
  rig.pass(second + 10_000);
  assert.deepEqual(rig.told.slice(0, 2), ["timeout", "timeout"]);
});

Deno.test("a peer has failed that is silent through eight repetitions; any progress begins the count anew", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 2);
  const silence = (count: number) => {
    for (let i = 0; i < count; i++) {
      rig.pass(recovery.deadline);
      if (recovery.counters.timeouts === 0) i--; // that was the probe
      assert.equal(recovery.failed, false);
    }
  };
  silence(8);
  assert.equal(recovery.counters.timeouts, 8);
  rig.resend(0);
  rig.ack(recovery.deadline - 1, 1);
  silence(8);
  rig.pass(recovery.deadline);
  assert.deepEqual([recovery.counters.timeouts, recovery.failed], [17, true]);
});

Deno.test("RFC 5682 §2: what was never repeated and arrives after a timeout shows that the path was only late", () => {
  const rig = new Rig();
  rig.send(0, 4);
  rig.pass(RTO);
  rig.resend(RTO);
  rig.ack(RTO + 90, 2);
  assert.deepEqual([rig.told, rig.recovery.active, rig.lost], [["timeout", "undo"], false, []]);
  assert.equal(rig.board.flight.bytes, 2 * MSS, "the others are on their way again");
});

Deno.test("RFC 5682 §2: only the first delivery after a timeout is such a sign", () => {
  const rig = new Rig();
  rig.send(0, 4);
  rig.pass(RTO);
  rig.resend(RTO);
  rig.ack(RTO + 90, 1); // the repetition
  rig.ack(RTO + 91, 2); // an original, delivered by whatever
  assert.deepEqual([rig.told, rig.recovery.isTimedOut, rig.lost], [["timeout"], true, [2, 3]]);
  // A further timeout of the same loss is judged as little.
  rig.pass(RTO + 5_000);
  const now = rig.recovery.deadline - 1;
  rig.ack(now, 3);
  assert.ok(!rig.told.includes("undo"));
  assert.equal(rig.recovery.isTimedOut, true);
  rig.ack(now, 4);
  assert.equal(rig.recovery.active, false);
});

Deno.test("RFC 5682 §2: two timeouts without anything between them are judged together", () => {
  const rig = new Rig();
  rig.send(0, 3);
  rig.pass(2000);
  assert.equal(rig.recovery.counters.timeouts, 2);
  rig.resend(2000);
  rig.ack(2090, 2);
  assert.deepEqual(rig.told, ["timeout", "undo"]);
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
  const both = repaired(2, 20);
  both.ack(121, 2, [2, 6]);
  assert.deepEqual(both.told, ["loss", "undo"]);
});

Deno.test("RFC 8985 §6.2: what is overtaken is lost after a quarter of a round trip, by the timer", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 2);
  rig.ack(RTT, 0, [1, 2]);
  assert.equal(recovery.deadline, 1.25 * RTT);
  recovery.onTimer(1.25 * RTT - 1);
  assert.equal(recovery.active, false);
  recovery.onTimer(1.25 * RTT);
  assert.deepEqual(rig.calls.at(-1), ["loss", 2 * MSS, 1.25 * RTT]);
  assert.deepEqual([rig.lost, recovery.takeUrgent()], [[0], true]);
  // One was in flight when the timer found it; the window is what was then, not at the acknowledgement before.
  assert.equal(recovery.window, 0);
  rig.resend(130);
  rig.ack(230, 2);
  assert.equal(recovery.deadline, Infinity);
});

Deno.test("while the peer's window is closed nothing is due and nothing is lost; then everything is timed anew", () => {
  const rig = new Rig();
  const { recovery } = rig;
  rig.send(0, 3);
  recovery.suspend();
  assert.equal(recovery.deadline, Infinity);
  recovery.onTimer(10_000);
  assert.deepEqual([recovery.counters.timeouts, recovery.takeProbeDue()], [0, false]);
  rig.ack(10_001, 0, [1, 3]);
  assert.deepEqual([recovery.active, rig.lost], [false, []]);
  recovery.resume(20_000);
  assert.ok(recovery.deadline > 20_000);
  rig.pass(20_000 + rig.board.rtt.rto);
  assert.equal(recovery.counters.timeouts, 1);
});

Deno.test("a wait for overtaken segments ends with the last of them, a closed window or not", () => {
  const rig = new Rig();
  rig.send(0, 2);
  rig.ack(RTT, 0, [1, 2]);
  rig.recovery.suspend();
  rig.ack(RTT + 5, 2);
  rig.recovery.resume(RTT + 6);
  assert.equal(rig.recovery.deadline, Infinity);
});

Deno.test("a path that was repaired has all sent again at once, with its timeouts forgotten", () => {
  const rig = new Rig();
  const { recovery, board } = rig;
  recovery.onPathRepaired(0);
  assert.equal(recovery.deadline, Infinity, "nothing is in flight");
  rig.send(0, 3);
  rig.pass(4_000);
  const timeouts = recovery.counters.timeouts;
  assert.ok(timeouts >= 3);
  recovery.onPathRepaired(4_000);
  assert.deepEqual([recovery.deadline, board.rtt.rto], [4_000, RTO]);
  recovery.onTimer(4_000);
  assert.deepEqual([recovery.counters.timeouts, rig.lost], [timeouts + 1, [0, 1, 2]]);
  assert.deepEqual(rig.told, ["timeout", "timeout"], "a new sign");
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

Deno.test("a round trip is told before the growth that it explains, and only when there is a sample", () => {
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
