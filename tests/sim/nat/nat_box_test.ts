/** The boxes and firewalls of the simulated internet behave as RFC 4787 names it. */

import assert from "node:assert/strict";
import type { Endpoint } from "../../../protocol/ip.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { Firewall } from "./firewall.ts";
import { Internet, name, Segment } from "./internet.ts";
import { type Dependence, type NatBehavior, NatBox } from "./nat_box.ts";

const BOX = "198.18.0.1";
const INSIDE: Endpoint = { host: "192.168.1.10", port: 4_000 };
/** Two addresses, and another port of the first. */
const [X, Y, X2]: readonly [Endpoint, Endpoint, Endpoint] = [
  { host: "198.18.1.1", port: 1 },
  { host: "198.18.1.2", port: 1 },
  { host: "198.18.1.1", port: 2 },
];
const EIM: NatBehavior = { mapping: "independent", filtering: "port" };

interface Arrival {
  readonly at: string;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** One box, a LAN with two hosts, two hosts outside. */
class Lab {
  readonly clock = new ManualClock();
  readonly internet = new Internet(this.clock);
  readonly lan = new Segment(this.internet, { name: "lan", delayMs: 1 });
  readonly box: NatBox;
  readonly arrivals: Arrival[] = [];

  constructor(behavior: NatBehavior) {
    const { lan: inside, internet } = this;
    this.box = new NatBox(internet, { behavior, inside, outside: internet.core, host: BOX });
    for (const host of [X.host, Y.host]) this.#listen(internet.core, host);
    for (const host of [INSIDE.host, "192.168.1.11"]) this.#listen(this.lan, host);
  }

  #listen(segment: Segment, host: string): void {
    segment.attach(host, ({ from, to }) => void this.arrivals.push({ at: segment.name, from, to }));
  }

  async #send(segment: Segment, from: Endpoint, to: Endpoint): Promise<Arrival | undefined> {
    const before = this.arrivals.length;
    segment.send({ from, to, data: new Uint8Array(1), mayFragment: false });
    await this.clock.run(100);
    return this.arrivals[before];
  }

  /** Sends from inside; returns which endpoint the other side sees. */
  async out(to: Endpoint, from: Endpoint = INSIDE): Promise<Endpoint | undefined> {
    return (await this.#send(this.lan, from, to))?.from;
  }

  /** Sends from outside; returns whether it came in. */
  async in(from: Endpoint, to: Endpoint | undefined): Promise<boolean> {
    return (await this.#send(this.internet.core, from, to ?? { host: BOX, port: 0 }))?.at === "lan";
  }
}

const MAPPINGS: [Dependence, boolean, boolean][] = [
  // The same endpoint for another address, and for another port.
  ["independent", true, true],
  ["address", false, true],
  ["port", false, false],
];
for (const [mapping, isSameForAddress, isSameForPort] of MAPPINGS) {
  Deno.test(`NatBox gives other destinations the same endpoint or not: mapping ${mapping}`, async () => {
    const lab = new Lab({ mapping, filtering: "port", ports: "random" });
    const first = name((await lab.out(X))!);
    assert.equal(name((await lab.out(X))!), first);
    assert.equal(name((await lab.out(Y))!) === first, isSameForAddress);
    assert.equal(name((await lab.out(X2))!) === first, isSameForPort);
  });
}

const FILTERS: [Dependence, boolean, boolean][] = [
  ["independent", true, true],
  ["address", false, true],
  ["port", false, false],
];
for (const [filtering, letsAddress, letsPort] of FILTERS) {
  Deno.test(`NatBox lets in strangers or not: filtering ${filtering}`, async () => {
    const lab = new Lab({ mapping: "independent", filtering });
    const seen = await lab.out(X);
    assert.equal(await lab.in(X, seen), true);
    assert.equal(await lab.in(Y, seen), letsAddress);
    assert.equal(await lab.in(X2, seen), letsPort);
    assert.equal(lab.box.filtered, Number(!letsAddress) + Number(!letsPort));
  });
}

Deno.test("NatBox keeps the port if it is free, and gives random ones when configured so", async () => {
  const other = { host: "192.168.1.11", port: INSIDE.port };
  const lab = new Lab(EIM);
  assert.deepEqual(await lab.out(X), { host: BOX, port: INSIDE.port });
  assert.notEqual((await lab.out(X, other))!.port, INSIDE.port);
  const random = new Lab({ ...EIM, ports: "random" });
  assert.notEqual((await random.out(X))!.port, INSIDE.port);
});

Deno.test("NatBox forgets a mapping after silence of the inside, or of both sides when inbound refreshes", async () => {
  for (const inboundRefresh of [false, true]) {
    const lab = new Lab({ ...EIM, timeoutMs: 30_000, inboundRefresh });
    const seen = await lab.out(X);
    await lab.clock.run(20_000);
    assert.equal(await lab.in(X, seen), true);
    await lab.clock.run(20_000);
    assert.equal(await lab.in(X, seen), inboundRefresh);
    await lab.clock.run(40_000);
    assert.equal(lab.box.size, 0);
  }
});

Deno.test("NatBox lets hosts behind it meet by its public address only when it hairpins", async () => {
  for (const hairpin of [true, false]) {
    const lab = new Lab({ mapping: "independent", filtering: "independent", hairpin });
    const seen = await lab.out(X);
    const before = lab.arrivals.length;
    await lab.out(seen!, { host: "192.168.1.11", port: 5_000 });
    const expected = { at: "lan", from: { host: BOX, port: 5_000 }, to: INSIDE };
    assert.deepEqual(lab.arrivals.slice(before), hairpin ? [expected] : []);
  }
});

Deno.test("Segment delivers between hosts of a LAN by private addresses, past the box", async () => {
  const lab = new Lab(EIM);
  await lab.out(INSIDE, { host: "192.168.1.11", port: 5_000 });
  assert.deepEqual(lab.arrivals.map(({ at, from }) => [at, from.host]), [["lan", "192.168.1.11"]]);
  assert.equal(lab.box.size, 0);
});

Deno.test("NatBox stacked behind another translates twice, and answers find their path back", async () => {
  const lab = new Lab({ ...EIM, ports: "random" });
  const inner = new Segment(lab.internet, { name: "inner", delayMs: 1 });
  const home = { behavior: EIM, inside: inner, outside: lab.lan, host: "192.168.1.12" };
  const box = new NatBox(lab.internet, home);
  let answers = 0;
  inner.attach(INSIDE.host, () => void answers++);
  inner.send({ from: INSIDE, to: X, data: new Uint8Array(1), mayFragment: false });
  await lab.clock.run(100);
  const seen = lab.arrivals[0]?.from;
  assert.equal(seen?.host, BOX);
  lab.internet.core.send({ from: X, to: seen!, data: new Uint8Array(1), mayFragment: false });
  await lab.clock.run(100);
  assert.deepEqual([answers, box.size, lab.box.size], [1, 1, 1]);
});

Deno.test("NatBox forwards a port to a host inside, which speaks from it", async () => {
  const lab = new Lab({ mapping: "port", filtering: "port", ports: "random", timeoutMs: 10 });
  lab.box.forward(7_000, INSIDE);
  assert.equal(await lab.in(Y, { host: BOX, port: 7_000 }), true);
  assert.deepEqual(await lab.out(X), { host: BOX, port: 7_000 });
  lab.box.flush();
  assert.equal(await lab.in(Y, { host: BOX, port: 7_000 }), true);
});

Deno.test("NatBox gives another port after a flush, and another address after a move", async () => {
  const lab = new Lab(EIM);
  const first = await lab.out(X);
  lab.box.flush();
  assert.equal(await lab.in(X, first), false);
  const second = await lab.out(X);
  assert.notEqual(second!.port, first!.port);
  lab.box.move("198.18.0.2");
  assert.equal(await lab.in(X, second), false);
  assert.equal((await lab.out(X))!.host, "198.18.0.2");
});

Deno.test("NatBox refuses mappings beyond its table, and keeps those it has", async () => {
  const lab = new Lab({ ...EIM, maxMappings: 3 });
  const from = (port: number) => ({ host: INSIDE.host, port });
  for (const port of [1, 2, 3]) assert.notEqual(await lab.out(X, from(port)), undefined);
  assert.equal(await lab.out(X, from(4)), undefined);
  assert.notEqual(await lab.out(X, from(1)), undefined);
  assert.deepEqual([lab.box.size, lab.box.refused], [3, 1]);
});

Deno.test("Firewall lets pass what its rules say", () => {
  const exempt = [Y.host];
  const closed = new Firewall({ outbound: "none", inbound: "none" });
  assert.deepEqual([closed.lets("outbound", X, 0), closed.lets("inbound", X, 0)], [false, false]);
  const beaconOnly = new Firewall({ outbound: "none", inbound: "none", exempt });
  assert.equal(beaconOnly.lets("inbound", Y, 0), false);
  assert.equal(beaconOnly.lets("outbound", Y, 0), true);
  assert.equal(beaconOnly.lets("inbound", Y, 0), true);
  assert.equal(beaconOnly.lets("outbound", X, 0), false);
  const client = new Firewall({ outbound: "any", inbound: "answers", timeoutMs: 1_000 });
  assert.equal(client.lets("inbound", X, 0), false);
  assert.equal(client.lets("outbound", X, 0), true);
  assert.equal(client.lets("inbound", X, 999), true);
  assert.equal(client.lets("inbound", X2, 999), false);
  assert.equal(client.lets("inbound", X, 1_999), false);
  const server = new Firewall({ outbound: "answers", inbound: "any" });
  assert.equal(server.lets("outbound", X, 0), false);
  assert.equal(server.lets("inbound", X, 0), true);
  assert.equal(server.lets("outbound", X, 0), true);
});

Deno.test("Segment loses, delays, and drops what is too large or of the other family", async () => {
  const clock = new ManualClock();
  const { core } = new Internet(clock, { delayMs: 20, seed: 7 });
  const arrived: number[] = [];
  core.attach(X.host, () => void arrived.push(clock.now()), { delayMs: 5, loss: 0.5 });
  core.attach(Y.host, () => {}, { delayMs: 3 });
  const start = clock.now();
  const send = (bytes: number, mayFragment = false, from = Y) =>
    core.send({ from, to: X, data: new Uint8Array(bytes), mayFragment });
  for (let i = 0; i < 1_000; i++) send(10);
  await clock.run(1_000);
  assert.ok(arrived.length > 400 && arrived.length < 600, `${arrived.length}`);
  assert.ok(arrived.every((at) => at === start + 28));
  arrived.length = 0;
  for (let i = 0; i < 50; i++) send(1_473);
  for (let i = 0; i < 50; i++) send(10, false, { host: "2001:db8::1", port: 1 });
  await clock.run(1_000);
  assert.equal(arrived.length, 0);
  for (let i = 0; i < 50; i++) send(1_473, true);
  await clock.run(1_000);
  assert.ok(arrived.length > 0);
});
