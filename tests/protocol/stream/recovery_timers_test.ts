/** The timers of loss recovery, rule by rule: RFC 5681, 5682, 6298, 8985; with 100 ms to the peer and back. */

import assert from "node:assert/strict";
import { NewReno } from "../../../protocol/stream/congestion.ts";
import { Recovery } from "../../../protocol/stream/recovery.ts";
import { MSS, Rig, RTO, RTT } from "./recovery_rig.ts";

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

Deno.test("RFC 8985 §7.3: a probe may carry new data, and a single byte is worth one", () => {
  const rig = new Rig({ rttMs: 30 });
  const { recovery, board } = rig;
  board.sent(1, 0);
  recovery.onSent(1, 0);
  assert.equal(recovery.deadline, 100);
  recovery.onTimer(100);
  assert.equal(recovery.takeProbeDue(), true);
  rig.send(100);
  recovery.onProbeSent();
  assert.equal(recovery.deadline, 200, "the timeout: one probe is out");
});

Deno.test("timers that run late leave nothing behind that was due", () => {
  const rig = new Rig();
  rig.send(0, 2);
  rig.recovery.onTimer(1_000);
  assert.equal(rig.recovery.counters.timeouts, 1);
  assert.equal(rig.recovery.deadline, 1_000 + rig.board.rtt.rto);
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

Deno.test("RFC 8985 §7.2: progress restarts the timer of the probe", () => {
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
  assert.deepEqual(rig.calls.findLast(([name]) => name === "timeout")!.slice(0, 2), [
    "timeout",
    2 * MSS,
  ]);
});

Deno.test("a peer has failed that is silent through eight repetitions; any progress restarts the count", () => {
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

Deno.test("a window that opens again gives what is in flight its whole time", () => {
  const rig = new Rig();
  rig.send(0, 2);
  rig.recovery.suspend();
  rig.recovery.resume(20_000);
  assert.deepEqual(rig.pass(20_000 + RTO), [20_000 + 2 * RTT, 20_000 + RTO]);
  const unused = new Recovery(rig.board, new NewReno(MSS), MSS);
  unused.onSent(MSS, 0);
  assert.equal(unused.deadline, Infinity, "closed until the peer has told otherwise");
});

Deno.test("while the peer's window is closed nothing is due and nothing is lost; then every timer restarts", () => {
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
