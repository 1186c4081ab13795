import assert from "node:assert/strict";
import fc from "fast-check";
import { Cubic } from "../../../protocol/stream/cubic.ts";
import { HyStart } from "../../../protocol/stream/hystart.ts";
import { RateReduction } from "../../../protocol/stream/prr.ts";

const MSS = 1448;

/** A controller in congestion avoidance, reduced from `before` bytes at time 0. */
function reduced(before: number, plain = true): Cubic {
  const cc = new Cubic(MSS, { plain });
  while (cc.window < before) cc.onAck(before - cc.window, cc.window, 0, 100);
  cc.onLoss(before);
  return cc;
}

/** Acknowledges whole windows, one per round trip of 100 ms, in ten steps each. */
function rounds(cc: Cubic, from: number, to: number, rttMs = 100): void {
  for (let now = from; now < to; now += rttMs / 10) {
    cc.onAck(cc.window / 10, cc.window, now, rttMs);
  }
}

Deno.test("Cubic keeps 0.7 of the window after a loss and 1 segment after a timeout", () => {
  const cc = reduced(1000 * MSS);
  assert.equal(Math.round(cc.window / MSS), 700);
  assert.equal(cc.threshold, cc.window);
  cc.onTimeout(cc.window);
  assert.equal(cc.window, MSS);
  assert.equal(Math.round(cc.threshold / MSS), 490);
});

Deno.test("Cubic is back at its plateau after K seconds, slow around it and faster beyond", () => {
  const cc = reduced(1000 * MSS);
  // K = cbrt(300 / 0.4) s = 9.09 s (RFC 9438 §4.2); one round trip early because it aims one ahead.
  rounds(cc, 0, 4_500);
  const half = cc.window / MSS;
  assert.ok(
    half > 950 && half < 970,
    `${half}: C * (K/2)^3 = 37.5 below the plateau, a round trip ahead`,
  );
  rounds(cc, 4_500, 9_100);
  assert.ok(Math.abs(cc.window / MSS - 1000) < 2, `${cc.window / MSS}`);
  rounds(cc, 9_100, 14_100);
  const beyond = cc.window / MSS - 1000;
  assert.ok(beyond > 45 && beyond < 60, `${beyond}: C * 5^3 = 50`);
});

Deno.test("Cubic is no slower than NewReno where round trips are short", () => {
  const cc = reduced(20 * MSS);
  // 100 round trips of 10 ms: 0.53 segments each up to 20, which takes 11 of them, then 1 each.
  rounds(cc, 0, 1_000, 10);
  const window = cc.window / MSS;
  assert.ok(window > 106 && window < 111, `${window}`);
});

Deno.test("Cubic yields: a loss before the old plateau lowers the next one", () => {
  const cc = reduced(1000 * MSS);
  rounds(cc, 0, 1_000);
  const at = cc.window;
  cc.onLoss(at);
  // The next plateau is at 0.85 of that window; the old way would aim for the whole again.
  const k = Math.cbrt(0.15 * at / MSS / 0.4) * 1000;
  rounds(cc, 1_000, 1_000 + k);
  assert.ok(Math.abs(cc.window / at - 0.85) < 0.01, `${cc.window / at}`);
});

Deno.test("Cubic counts no time in which the window was not used", () => {
  const cc = reduced(1000 * MSS);
  rounds(cc, 0, 1_000);
  const before = cc.window;
  for (let now = 1_000; now < 60_000; now += 10) cc.onAck(MSS, 10 * MSS, now, 100);
  assert.equal(cc.window, before);
  rounds(cc, 60_000, 60_100);
  assert.ok(cc.window < before * 1.1, `${cc.window / before} after one round trip`);
});

Deno.test("Cubic has its plateau where slow start ended after a timeout", () => {
  const cc = reduced(1000 * MSS);
  cc.onTimeout(cc.window);
  while (cc.window < cc.threshold) cc.onAck(cc.window, cc.window, 0, 100);
  rounds(cc, 0, 3_000);
  const window = cc.window / MSS;
  assert.ok(window > 490 && window < 510, `${window}: C * 3^3 = 11 above 490`);
});

Deno.test("Cubic.undo gives the window, the threshold and the curve back, once", () => {
  for (const spoil of ["onLoss", "onTimeout"] as const) {
    const cc = reduced(1000 * MSS);
    const twin = reduced(1000 * MSS);
    for (const one of [cc, twin]) rounds(one, 0, 2_000);
    cc[spoil](cc.window);
    cc.onAck(MSS, cc.window, 2_000, 100);
    assert.ok(cc.window < twin.window);
    cc.undo();
    assert.deepEqual([cc.window, cc.threshold], [twin.window, twin.threshold]);
    for (const one of [cc, twin]) rounds(one, 2_000, 6_000);
    assert.equal(cc.window, twin.window);
    cc.onLoss(cc.window);
    const low = cc.window;
    cc.undo();
    cc.undo();
    assert.ok(cc.window > low);
  }
});

Deno.test("Cubic restarts from its first window after a pause, and remembers how far it was", () => {
  const cc = reduced(1000 * MSS);
  rounds(cc, 0, 5_000);
  const { window } = cc;
  cc.onIdle();
  assert.equal(cc.window, 10 * MSS);
  assert.ok(cc.threshold >= window * 0.74);
  const fresh = new Cubic(MSS);
  fresh.onIdle();
  assert.equal(fresh.threshold, Infinity);
});

Deno.test("Cubic steps back by 0.85 where no queue shows, by 0.7 where one does or nothing is known", () => {
  const share = (rtts: number[]) => {
    const cc = new Cubic(1152);
    while (cc.window < 100_000) cc.onAck(10_000, cc.window, 0, 50);
    let una = 0;
    for (const rtt of rtts) {
      for (let i = 0; i < 10; i++) cc.onRtt({ latest: rtt }, una, una + 10);
      una += 10;
    }
    const { window } = cc;
    cc.onLoss(window);
    return Math.round(cc.window / window * 100);
  };
  assert.equal(share([50, 50, 50]), 85);
  assert.equal(share([50, 53, 53]), 85, "jitter of a sixteenth");
  assert.equal(share([10, 11.5, 10]), 85, "jitter of less than 2 ms");
  assert.equal(share([400, 420, 420]), 70, "20 ms are a queue on any path");
  assert.equal(share([50, 50, 60]), 70);
  assert.equal(share([50, 60, 50]), 70, "a queue a round ago");
  assert.equal(share([]), 70);
  assert.equal(share([50]), 70, "not a whole round yet");
});

Deno.test("Cubic stays within one segment and 16 MiB whatever happens", () => {
  const step = fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 5_000_000 }), fc.nat(500));
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const cc = new Cubic(MSS);
    let now = 0;
    for (const [kind, n, ms] of steps) {
      now += ms;
      if (kind <= 1) cc.onAck(Math.min(n, cc.window), kind === 0 ? cc.window : n, now, 1 + ms);
      else if (kind === 2) cc.onLoss(n);
      else if (kind === 3) cc.onTimeout(n);
      else if (kind === 4) cc.undo();
      else cc.onRtt({ latest: 1 + ms }, now, now + n);
      assert.ok(cc.window >= MSS && cc.window <= 16 << 20, `${cc.window}`);
      assert.ok(cc.threshold >= 2 * MSS);
    }
  }));
});

Deno.test("HyStart turns careful when eight samples in a row are late, and back when it was a blip", () => {
  const start = new HyStart();
  const feed = (ms: number, count: number, una: number) => {
    for (let i = 0; i < count; i++) start.onRtt({ latest: ms }, una, una + 100);
  };
  feed(50, 8, 0);
  feed(56, 16, 100);
  assert.equal(start.divisor, 1, "6 ms of 50 are below an eighth");
  feed(57, 7, 200);
  assert.equal(start.divisor, 1, "seven are not enough");
  feed(50, 1, 200);
  feed(63, 8, 200);
  assert.equal(start.divisor, 4);
  feed(51, 8, 200);
  assert.deepEqual([start.divisor, start.over], [1, false]);
  feed(64, 8, 200);
  for (let round = 3; round < 8; round++) {
    assert.deepEqual([start.divisor, start.over], [4, false]);
    feed(64, 8, round * 100);
  }
  assert.equal(start.over, true, "five rounds later");
});

Deno.test("HyStart ends slow start at once when half a round trip waits in the queue", () => {
  const start = new HyStart();
  for (const [ms, una] of [[50, 0], [60, 100], [80, 100]] as const) {
    for (let i = 0; i < 8; i++) start.onRtt({ latest: ms }, una, una + 100);
  }
  assert.equal(start.over, true);
});

Deno.test("HyStart forgets a round trip that was measured too short", () => {
  const start = new HyStart();
  let una = 0;
  const round = (ms: number) => {
    for (let i = 0; i < 4; i++) start.onRtt({ latest: ms }, una, una + 100);
    una += 100;
  };
  round(40);
  for (let i = 0; i < 10; i++) round(50);
  assert.equal(start.queued, true, "a queue of 10 ms is possible");
  for (let i = 0; i < 128; i++) round(50);
  assert.equal(start.queued, false, "it has no end, so it is none");
});

Deno.test("RateReduction sends its share of what arrives, evenly, and ends at the target", () => {
  const prr = new RateReduction();
  let flight = 99;
  prr.start(100, 70, flight);
  let sent = 0;
  for (let acks = 1; acks <= 99; acks++) {
    flight--;
    prr.onAck(1, flight, 0);
    while (flight < prr.window) {
      flight++;
      sent++;
      prr.onSent(1);
    }
    if (flight >= 70) assert.ok(Math.abs(sent - acks * 0.7) <= 1, `${sent} for ${acks}`);
  }
  assert.ok(Math.abs(flight - 70) <= 1, `${flight}`);
});

Deno.test("RateReduction grows back towards its target no faster than segments arrive, one more when all is well", () => {
  const prr = new RateReduction();
  prr.start(100, 70, 20);
  prr.onAck(2, 18, 0);
  assert.equal(prr.window, 20);
  prr.onSent(2);
  prr.onAck(2, 18, 1);
  assert.equal(prr.window, 21);
  prr.onAck(10, 69, 1);
  assert.equal(prr.window, 70);
});
