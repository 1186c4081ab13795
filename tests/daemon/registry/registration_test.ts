import assert from "node:assert/strict";
import {
  type Registrant,
  RegistrationLoop,
  RETRY_MAX_MS,
  RETRY_MIN_MS,
} from "../../../daemon/registry/registration.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { settle } from "../../support/settle.ts";

const KEEPALIVE_MS = 60_000;

/** A loop on a manual clock, and what it did. */
class Bench {
  readonly clock = new ManualClock();
  readonly startMs: number = this.clock.now();
  /** What was done and when, in ms since the start. */
  readonly done: [string, number][] = [];
  readonly logs: string[] = [];
  isDown = false;
  heartbeatFails = false;
  /** Holds register or heartbeat until it resolves. */
  gate: Promise<void> = Promise.resolve();
  /** How long each takes. */
  delayMs = 0;
  readonly loop: RegistrationLoop;
  readonly #registrant: Registrant;

  constructor(randomFraction: number = 0) {
    const note = async (what: string, fails: boolean) => {
      this.done.push([what, this.clock.now() - this.startMs]);
      await this.gate;
      if (this.delayMs > 0) {
        await new Promise<void>((resolve) => this.clock.after(this.delayMs, resolve));
      }
      if (fails) throw new PilotError("unavailable", "down");
    };
    this.loop = new RegistrationLoop({
      clock: this.clock,
      randomFraction: () => randomFraction,
      keepaliveMs: KEEPALIVE_MS,
      log: (level, message) => void this.logs.push(`${level}: ${message}`),
    });
    this.#registrant = {
      register: () => note("register", this.isDown),
      registered: (isFirst) => note(isFirst ? "first" : "again", false),
      heartbeat: () => note("heartbeat", this.isDown || this.heartbeatFails),
    };
  }

  /** Begins to register. */
  start(): void {
    this.loop.start(this.#registrant);
  }

  /** Times of one kind. */
  times(what: string): number[] {
    return this.done.filter(([kind]) => kind === what).map(([, at]) => at);
  }
}

Deno.test("RegistrationLoop registers once and then sends heartbeats", async () => {
  const bench = new Bench();
  assert.equal(bench.loop.state, "registering");
  bench.start();
  await bench.clock.run(3 * KEEPALIVE_MS);
  assert.deepEqual(bench.done, [
    ["register", 0],
    ["first", 0],
    ["heartbeat", KEEPALIVE_MS],
    ["heartbeat", 2 * KEEPALIVE_MS],
    ["heartbeat", 3 * KEEPALIVE_MS],
  ]);
  assert.equal(bench.loop.state, "registered");
  await bench.loop.stop();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("RegistrationLoop stays out of the registry after leave, whatever would register it again", async () => {
  const bench = new Bench();
  bench.start();
  await bench.clock.run(1);
  bench.heartbeatFails = true; // as the registry answers a node that it does not have
  const asked: string[] = [];
  const reply = await bench.loop.leave(() => Promise.resolve(asked.push("deregister")));
  assert.equal(reply, 1);
  assert.equal(bench.loop.state, "deregistered");
  bench.loop.trigger();
  await bench.clock.run(3 * KEEPALIVE_MS);
  assert.deepEqual(bench.done, [["register", 0], ["first", 0]]);
  assert.equal(bench.clock.pending, 0);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop lets a registration in progress end before it leaves", async () => {
  const bench = new Bench();
  bench.delayMs = 100;
  bench.start();
  const left = bench.loop.leave(() => Promise.resolve(bench.clock.now() - bench.startMs));
  await bench.clock.run(1000);
  assert.equal(await left, 200);
  assert.equal(bench.loop.state, "deregistered");
  assert.equal(bench.clock.pending, 0);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop continues when leaving fails", async () => {
  const bench = new Bench();
  bench.start();
  await bench.clock.run(1);
  const failing = () => Promise.reject(new PilotError("unavailable", "down"));
  await assert.rejects(bench.loop.leave(failing), { code: "unavailable" });
  await bench.clock.run(KEEPALIVE_MS);
  assert.equal(bench.loop.state, "registered");
  assert.equal(bench.times("heartbeat").length, 1);
  await bench.loop.stop();
});

for (const fraction of [0, 0.5]) {
  Deno.test(`RegistrationLoop backs off while the registry is away (random ${fraction})`, async () => {
    const bench = new Bench(fraction);
    bench.isDown = true;
    bench.start();
    await bench.clock.run(120_000);
    const times = bench.times("register");
    const waits = times.slice(1).map((at, i) => (at - times[i]!) / (1 + fraction / 2));
    assert.deepEqual(
      waits.slice(0, 7),
      [1, 2, 4, 8, 16, 32, 60].map((n, i) =>
        i < 6 ? Math.min(RETRY_MAX_MS, 2 * n * RETRY_MIN_MS) : RETRY_MAX_MS
      ),
    );
    assert.ok(waits.every((wait) => wait <= RETRY_MAX_MS));
    assert.equal(bench.loop.state, "retrying");
    assert.equal(bench.loop.error?.code, "unavailable");
    assert.deepEqual(bench.logs, ["warn: registration failed, retrying"], "one line for an outage");
    bench.isDown = false;
    await bench.clock.run(2 * RETRY_MAX_MS);
    assert.equal(bench.loop.state, "registered");
    assert.equal(bench.loop.error, undefined);
    assert.equal(bench.logs.length, 2);
    assert.equal(bench.times("first").length, 1);
    await bench.loop.stop();
  });
}

Deno.test("RegistrationLoop registers again soon after a failed heartbeat", async () => {
  const bench = new Bench();
  bench.start();
  await bench.clock.run(KEEPALIVE_MS - 1);
  bench.heartbeatFails = true;
  await bench.clock.run(1 + RETRY_MIN_MS);
  assert.deepEqual(bench.times("register"), [0, KEEPALIVE_MS + RETRY_MIN_MS]);
  assert.deepEqual(bench.times("again"), [KEEPALIVE_MS + RETRY_MIN_MS]);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop.trigger during a registration leads to another one", async () => {
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.gate = promise;
  bench.start();
  await settle();
  bench.loop.trigger();
  bench.loop.trigger();
  assert.equal(bench.times("register").length, 1);
  resolve();
  await settle();
  assert.equal(bench.times("register").length, 2);
  // And still one chain of heartbeats.
  await bench.clock.run(10 * KEEPALIVE_MS);
  assert.equal(bench.times("heartbeat").length, 10);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop keeps one chain of heartbeats when registrations follow each other", async () => {
  const bench = new Bench();
  bench.delayMs = 10;
  bench.start();
  await settle();
  bench.loop.trigger();
  await bench.clock.run(40);
  assert.equal(bench.times("register").length, 2);
  await bench.clock.run(10 * (KEEPALIVE_MS + 10));
  assert.equal(bench.times("heartbeat").length, 10);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop.trigger during a heartbeat is not forgotten", async () => {
  const bench = new Bench();
  bench.start();
  await bench.clock.run(KEEPALIVE_MS - 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.gate = promise;
  await bench.clock.run(1);
  assert.equal(bench.times("heartbeat").length, 1);
  bench.loop.trigger();
  resolve();
  await settle();
  assert.deepEqual(bench.times("register"), [0, KEEPALIVE_MS]);
  await bench.clock.run(3 * KEEPALIVE_MS);
  assert.equal(bench.times("heartbeat").length, 4);
  assert.equal(bench.times("register").length, 2);
  await bench.loop.stop();
});

Deno.test("RegistrationLoop.trigger while waiting does not wait any longer", async () => {
  const bench = new Bench();
  bench.isDown = true;
  bench.start();
  await bench.clock.run(60_000);
  bench.isDown = false;
  bench.loop.trigger();
  await settle();
  assert.equal(bench.loop.state, "registered");
  const count = bench.done.length;
  await bench.clock.run(KEEPALIVE_MS - 1);
  assert.equal(bench.done.length, count, "the wait before is over");
  await bench.loop.stop();
});

Deno.test("RegistrationLoop.stop waits for what runs and starts nothing more", async () => {
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.gate = promise;
  bench.start();
  await settle();
  bench.loop.trigger();
  let isStopped = false;
  const stopped = bench.loop.stop().then(() => isStopped = true);
  await settle();
  assert.equal(isStopped, false);
  resolve();
  await stopped;
  bench.loop.trigger();
  await bench.clock.run(10 * KEEPALIVE_MS);
  assert.equal(bench.times("register").length, 1);
  assert.equal(bench.clock.pending, 0);
});
