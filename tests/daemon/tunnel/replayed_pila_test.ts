import assert from "node:assert/strict";
import { PILA_BYTES } from "../../../protocol/tunnel/frame.ts";
import type { TestNode } from "../harness/node.ts";
import { datagram, texts, World } from "../harness/world.ts";

const ATTACKER = { host: "198.51.100.66", port: 666 };
/** Header, probe payload, seal. */
const PROBE_BYTES = 34 + 12 + 36;

/** The last PILA a node sent. */
function pilaOf(world: World, node: TestNode, isRequest: boolean): Uint8Array {
  const pilas = world.frames(({ type, sent }) =>
    type === "pila" && sent.from.host === node.endpoint.host
  );
  const data = pilas.at(-1)!.sent.data.slice();
  data[PILA_BYTES + 1] = isRequest ? 1 : 2;
  return data;
}

function sentTo(world: World, host: string) {
  return world.net.log.filter(({ to }) => to.host === host);
}

for (
  const [when, waitMs] of [["at once", 0], ["after the grace of the old key", 16_000]] as const
) {
  Deno.test(`a PILA of an earlier incarnation, replayed ${when}, neither breaks nor redirects the session`, async () => {
    await using world = new World();
    const a = await world.node(5);
    let b = await world.node(7);
    await world.meet(a, b);
    const old = pilaOf(world, b, true);
    b = await b.restart();
    await world.meet(b, a);
    assert.deepEqual(a.restarted, [7]);
    await world.run(waitMs);
    world.net.clearLog();

    world.net.inject(old, ATTACKER, a.endpoint);
    for (let i = 0; i < 50; i++) {
      a.send(datagram(a, b, `to b ${i}`));
      b.send(datagram(b, a, `to a ${i}`));
      await world.run(200);
    }
    await world.run(100);
    assert.equal(b.got.length, 50);
    assert.equal(a.got.length, 50);
    assert.deepEqual(a.restarted, [7], "no second restart");
    assert.equal(a.tunnels.list()[0]!.endpoint, "192.0.2.7:4000");
    const stray = sentTo(world, ATTACKER.host);
    assert.equal(stray.length, 1, "one small answer to one replayed key");
    assert.ok(stray.every(({ data }) => data.length === PROBE_BYTES || data.length === 138));
  });
}

Deno.test("a replayed PILA is refused again and again without harm", async () => {
  await using world = new World();
  const a = await world.node(5);
  let b = await world.node(7);
  const old: Uint8Array[] = [];
  for (let i = 0; i < 4; i++) {
    await world.meet(b, a);
    old.push(pilaOf(world, b, true));
    b = await b.restart();
  }
  await world.meet(b, a);
  a.restarted.length = 0;
  for (let i = 0; i < 200; i++) {
    world.net.inject(old[i % old.length]!, ATTACKER, a.endpoint);
    if (i % 10 === 0) a.send(datagram(a, b, `${i}`));
    await world.run(50);
  }
  await world.run(100);
  assert.equal(b.got.length, 20);
  assert.deepEqual(a.restarted, []);
});

Deno.test("a PILA of the present incarnation changes nothing and is answered at most once a second", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const current = pilaOf(world, b, true);
  const silent = pilaOf(world, b, false);
  await world.run(10_000);
  world.net.clearLog();
  for (let i = 0; i < 100; i++) {
    world.net.inject(current, ATTACKER, a.endpoint);
    world.net.inject(silent, ATTACKER, a.endpoint);
    await world.run(50);
  }
  const answers = sentTo(world, ATTACKER.host);
  assert.ok(answers.length >= 5 && answers.length <= 7, `${answers.length} in 5 s`);
  assert.ok(answers.every(({ data }) => data.length === 138));
  a.send(datagram(a, b, "still here"));
  await world.run(100);
  assert.deepEqual(texts(b), ["still here"]);
});

Deno.test("a replayed PILA without a live session delays the genuine exchange only", async () => {
  await using world = new World();
  let a = await world.node(5);
  let b = await world.node(7);
  await world.meet(a, b);
  const old = pilaOf(world, b, true);
  b = await b.restart();
  b.streams.bind(1234, () => {});
  a = await a.restart();
  world.net.inject(old, ATTACKER, a.endpoint);
  await world.run(20);
  assert.ok(a.tunnels.list()[0]!.encrypted && !a.tunnels.list()[0]!.authenticated);
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 1234), 3_000);
  assert.equal(a.tunnels.list()[0]!.endpoint, "192.0.2.7:4000");
  conn.abort();
  await world.run(100);
});

Deno.test("a flood of replayed PILAs does not keep a peer out", async () => {
  await using world = new World();
  let a = await world.node(5);
  let b = await world.node(7);
  const old: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    await world.meet(b, a);
    old.push(pilaOf(world, b, true));
    b = await b.restart();
  }
  b.streams.bind(1234, () => {});
  a = await a.restart();
  let isDone = false;
  const dial = a.streams.dial({ network: 0, node: 7 }, 1234).finally(() => isDone = true);
  for (let i = 0; i < 100 && !isDone; i++) {
    world.net.inject(old[i % 3]!, ATTACKER, a.endpoint);
    await world.run(50);
  }
  assert.ok(isDone, "within 5 s");
  (await dial).abort();
  await world.run(100);
});

Deno.test("a PILA that another node signed for a node is refused", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const forged = pilaOf(world, b, true);
  forged[8]! ^= 1;
  world.net.clearLog();
  world.net.inject(forged, ATTACKER, a.endpoint);
  await world.run(1_000);
  assert.deepEqual(sentTo(world, ATTACKER.host), []);
});
