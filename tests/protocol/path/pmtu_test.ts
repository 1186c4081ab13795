import assert from "node:assert/strict";
import fc from "fast-check";
import {
  PATH_BASE_BYTES,
  PATH_MAX_BYTES,
  PathMtu,
  PMTU_MAX_PROBES,
  PMTU_MAX_TRUST_MS,
  PMTU_RAISE_MS,
  PMTU_RETRY_MS,
  PMTU_TRUST_MEMORY_MS,
  PMTU_TRUST_MS,
  pmtuTolerance,
} from "../../../protocol/path/mod.ts";

/** A path that carries datagrams up to `mtu` bytes and answers `rttMs` later. */
class Path {
  now = 0;
  rttMs = 20;
  /** Probes that were sent. */
  readonly probes: number[] = [];
  readonly machine: PathMtu;
  mtu: number;
  isLost: (index: number) => boolean = () => false;
  #answers: { at: number; bytes: number }[] = [];

  constructor(mtu: number, machine = new PathMtu()) {
    this.mtu = mtu;
    this.machine = machine;
  }

  /** Lets the search run to its end; full-size data flows all the time. */
  run(limitMs: number = 120_000): this {
    const end = this.now + limitMs;
    const { machine } = this;
    machine.demand(this.now);
    while (machine.deadline < Infinity || this.#answers.length > 0) {
      const answer = this.#answers[0];
      if (answer !== undefined && answer.at <= machine.deadline) {
        this.#answers.shift();
        this.now = Math.max(this.now, answer.at);
        machine.onAnswer(answer.bytes, this.rttMs, this.now);
      } else {
        this.now = Math.max(this.now, machine.deadline);
        const bytes = machine.poll(this.now);
        if (bytes !== undefined) this.#send(bytes);
      }
      assert.ok(this.now <= end, "the search ends");
    }
    return this;
  }

  /** Forgets answers that are under way, as the owner does at a suspicion. */
  suspect(): boolean {
    const isChanged = this.machine.suspect(this.now);
    this.#answers = [];
    return isChanged;
  }

  #send(bytes: number): void {
    this.probes.push(bytes);
    if (bytes > this.mtu || this.isLost(this.probes.length - 1)) return;
    this.#answers.push({ at: this.now + this.rttMs, bytes });
  }
}

const anyMtu = fc.integer({ min: PATH_BASE_BYTES, max: 70_000 });

/** The result is never more than the path carries and hardly less. */
function assertFound(found: number, mtu: number, max: number = PATH_MAX_BYTES): void {
  const best = Math.min(mtu, max);
  assert.ok(found <= best, `${found} on a path of ${best}`);
  assert.ok(best - found <= pmtuTolerance(found), `${found} on a path of ${best}`);
}

Deno.test("PathMtu stays at the base and sends nothing while nobody needs more", () => {
  const machine = new PathMtu();
  assert.equal(machine.poll(1e9), undefined);
  assert.equal(machine.deadline, Infinity);
  assert.deepEqual([machine.bytes, machine.state], [PATH_BASE_BYTES, "idle"]);
  assert.equal(machine.suspect(0), false, "the base is not suspected");
});

for (const mtu of [1280, 1400, 1420, 1492, 1500, 9000, 65_535]) {
  Deno.test(`PathMtu finds an MTU of ${mtu} exactly`, () => {
    const path = new Path(mtu - 28).run();
    assert.equal(path.machine.bytes, mtu - 28);
    assert.equal(path.machine.state, "done");
  });
}

Deno.test("PathMtu takes an Ethernet path with two answers and loses few bytes above it", () => {
  const path = new Path(1472).run();
  assert.deepEqual(path.probes.slice(0, 3), [PATH_BASE_BYTES, 1472, 2020]);
  assert.ok(path.probes.filter((bytes) => bytes > 1472).length <= 5 * PMTU_MAX_PROBES);
  assert.ok(path.now < 10_000, `${path.now}`);
});

Deno.test("PathMtu subtracts the headers of IPv6", () => {
  const path = new Path(1452, new PathMtu({ ipVersion: 6 })).run();
  assert.equal(path.machine.bytes, 1452);
});

Deno.test("PathMtu converges for any path and any limit, and never probes above the limit", () => {
  fc.assert(fc.property(anyMtu, anyMtu, (mtu, maxBytes) => {
    const path = new Path(mtu, new PathMtu({ maxBytes })).run();
    assertFound(path.machine.bytes, mtu, Math.min(maxBytes, PATH_MAX_BYTES));
    assert.ok(Math.max(...path.probes) <= maxBytes);
    assert.ok(path.probes.length <= 60, `${path.probes.length}`);
  }));
});

Deno.test("PathMtu converges when probes are lost, but not every try of one size", () => {
  const losses = fc.array(fc.boolean(), { maxLength: 200 });
  fc.assert(fc.property(anyMtu, losses, (mtu, lost) => {
    const path = new Path(mtu);
    let inRow = 0;
    path.isLost = (index) => {
      const isLost = lost[index] === true && inRow < PMTU_MAX_PROBES - 1;
      inRow = isLost ? inRow + 1 : 0;
      return isLost;
    };
    path.run();
    assertFound(path.machine.bytes, mtu);
  }));
});

Deno.test("PathMtu is right about what it uses whatever is lost", () => {
  fc.assert(fc.property(anyMtu, fc.array(fc.boolean(), { maxLength: 200 }), (mtu, lost) => {
    const path = new Path(mtu);
    path.isLost = (index) => lost[index] === true;
    path.run();
    assert.ok(path.machine.bytes === PATH_BASE_BYTES || path.machine.bytes <= mtu);
    path.isLost = () => false;
    path.now += PMTU_RAISE_MS;
    assertFound(path.run().machine.bytes, mtu);
  }));
});

Deno.test("PathMtu leaves a peer alone that answers nothing, until the raise timer", () => {
  const path = new Path(0).run();
  assert.deepEqual(path.probes, Array(PMTU_MAX_PROBES).fill(PATH_BASE_BYTES));
  assert.deepEqual([path.machine.state, path.machine.bytes], ["unanswered", PATH_BASE_BYTES]);
  path.now += PMTU_RAISE_MS - path.now - 1;
  path.run();
  assert.equal(path.probes.length, PMTU_MAX_PROBES);
  path.now += PMTU_RAISE_MS;
  path.mtu = 1472;
  assert.equal(path.run().machine.bytes, 1472);
});

Deno.test("PathMtu looks again after the raise timer when there is demand", () => {
  const path = new Path(1472).run();
  path.mtu = 9000;
  path.now += PMTU_RAISE_MS - 1_000;
  const before = path.probes.length;
  path.run();
  path.now += 1_000;
  assert.equal(path.probes.length, before, "not earlier");
  assertFound(path.run().machine.bytes, 9000);
});

Deno.test("PathMtu asks no more when it has all that is wanted", () => {
  const path = new Path(70_000, new PathMtu({ maxBytes: 8_262 })).run();
  const before = path.probes.length;
  path.now += 10 * PMTU_RAISE_MS;
  assert.equal(path.run().probes.length, before);
});

Deno.test("PathMtu falls back at once at a suspicion and is back when it was unfounded", () => {
  const path = new Path(8_972).run();
  const before = path.machine.bytes;
  assert.ok(path.suspect());
  assert.equal(path.machine.bytes, PATH_BASE_BYTES);
  const start = path.now;
  const sent = path.probes.length;
  path.run();
  assert.equal(path.machine.bytes, before);
  assert.deepEqual(path.probes.slice(sent, sent + 2), [PATH_BASE_BYTES, before]);
  assert.ok(path.now - start < 10_000);
});

Deno.test("PathMtu finds the new size of any path that has become narrower", () => {
  fc.assert(fc.property(anyMtu, anyMtu, (one, other) => {
    const path = new Path(Math.max(one, other)).run();
    path.mtu = Math.min(one, other);
    if (!path.suspect()) return;
    assert.equal(path.machine.bytes, PATH_BASE_BYTES);
    assertFound(path.run().machine.bytes, path.mtu);
  }));
});

Deno.test("PathMtu comes back soon after the whole path was down", () => {
  const path = new Path(1472).run();
  path.mtu = 0;
  path.suspect();
  path.run();
  assert.equal(path.machine.state, "unanswered");
  path.mtu = 1472;
  path.now += PMTU_RETRY_MS;
  assert.equal(path.run().machine.bytes, 1472);
});

Deno.test("PathMtu keeps a size that is suspected again and again, and listens ever less", () => {
  const path = new Path(9000).run();
  const before = path.machine.bytes;
  let heard = 0;
  for (const end = path.now + 60_000; path.now < end; path.now += 10) {
    if (!path.suspect()) continue;
    heard++;
    path.run();
    assert.equal(path.machine.bytes, before);
  }
  assert.ok(heard <= 4 + 60_000 / PMTU_MAX_TRUST_MS, `${heard}`);
});

Deno.test("PathMtu notices a narrower path in time whatever was suspected before", () => {
  const path = new Path(9000).run();
  for (let i = 0; i < 100; i++) {
    path.now += PMTU_TRUST_MS;
    if (path.suspect()) path.run();
  }
  path.mtu = 1400;
  const start = path.now;
  while (!path.suspect()) path.now += 10;
  assert.ok(path.now - start <= PMTU_MAX_TRUST_MS);
  assertFound(path.run().machine.bytes, 1400);
});

Deno.test("PathMtu forgets unfounded suspicions", () => {
  const path = new Path(9000).run();
  for (let i = 0; i < 10; i++) {
    path.now += PMTU_MAX_TRUST_MS;
    assert.ok(path.suspect());
    path.run();
  }
  assert.equal(path.suspect(), false);
  path.now += PMTU_MAX_TRUST_MS + PMTU_TRUST_MEMORY_MS;
  assert.ok(path.suspect());
  path.run();
  path.now += PMTU_TRUST_MS;
  assert.ok(path.suspect(), "the next is heard soon again");
});

Deno.test("PathMtu takes an answer that comes later than it waited", () => {
  const path = new Path(1472);
  path.rttMs = 30_000;
  path.machine.demand(0);
  for (let i = 0; i < PMTU_MAX_PROBES; i++) {
    path.machine.poll(path.now);
    path.now = path.machine.deadline;
  }
  assert.equal(path.machine.poll(path.now), undefined);
  assert.equal(path.machine.state, "unanswered");
  path.machine.onAnswer(PATH_BASE_BYTES, 30_000, 31_000);
  assert.equal(path.machine.state, "search");
});

Deno.test("PathMtu ignores answers of sizes it never asked for", () => {
  const machine = new PathMtu({ maxBytes: 1472 });
  assert.equal(machine.onAnswer(1472, 1, 0), false, "before the first probe");
  machine.demand(0);
  machine.poll(0);
  for (const bytes of [0, -1, 1473, 1e9, NaN]) machine.onAnswer(bytes, 1, 1);
  assert.equal(machine.bytes, PATH_BASE_BYTES);
});
