import assert from "node:assert/strict";
import { BROADCAST_NODE } from "../../../protocol/address.ts";
import { MAX_DATAGRAM_BYTES } from "../../../daemon/stream/datagram_host.ts";
import { Loopback, MAX_LOOPBACK_PACKETS } from "../../../daemon/stream/loopback.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { datagram, texts, World } from "../harness/world.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("Datagrams carries a payload with its ends", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.datagrams.send({ network: 0, node: 7 }, 2000, bytes("one")));
  await world.clock.finish(a.datagrams.send({ network: 0, node: 7 }, 2000, bytes("two")));
  await world.run(100);
  assert.deepEqual(texts(b), ["one", "two"]);
  assert.deepEqual(b.got[0]!.source, { network: 0, node: 5 });
  assert.equal(b.got[0]!.port, 2000);
  assert.notEqual(b.got[0]!.sourcePort, b.got[1]!.sourcePort);
});

Deno.test("Datagrams.send accepts 1 byte to the limit and the largest arrives, relayed too", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const to = { network: 0, node: 7 };
  for (const length of [0, MAX_DATAGRAM_BYTES + 1]) {
    await assert.rejects(a.datagrams.send(to, 1, new Uint8Array(length)), {
      code: "invalid_argument",
    });
  }
  world.directory.endpoints.delete(7);
  await world.clock.finish(a.datagrams.send(to, 1, new Uint8Array(MAX_DATAGRAM_BYTES)));
  await world.run(100);
  assert.equal(b.got[0]!.data.length, MAX_DATAGRAM_BYTES);
  assert.equal(b.received.find(({ payload }) => payload.length > 100)!.via, "relay");
  assert.ok(world.net.log.every(({ data }) => data.length <= 65_507), "fits UDP over IPv4");
});

Deno.test("Datagrams.trySend sends where a tunnel is, from a buffer that is used again at once", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const to = { network: 0, node: 7 };
  const data = bytes("one");
  assert.equal(a.datagrams.trySend(to, 2000, data), false, "no tunnel yet");
  assert.equal(a.datagrams.trySend({ network: 0, node: 5 }, 2000, data), false, "itself");
  await world.clock.finish(a.datagrams.send(to, 2000, data));
  await world.run(100);
  assert.equal(a.datagrams.trySend(to, 2000, data), true);
  data.set(bytes("two"));
  assert.equal(a.datagrams.trySend(to, 2000, data), true);
  data.fill(0);
  await world.run(100);
  assert.deepEqual(texts(b), ["one", "one", "two"]);
});

Deno.test("Datagrams.trySend refuses what send refuses", async () => {
  await using world = new World();
  const a = await world.node(5);
  const to = { network: 0, node: 7 };
  for (const length of [0, MAX_DATAGRAM_BYTES + 1]) {
    assert.throws(() => a.datagrams.trySend(to, 1, new Uint8Array(length)), {
      code: "invalid_argument",
    });
  }
  assert.throws(() => a.datagrams.trySend({ network: 0, node: BROADCAST_NODE }, 1, bytes("x")), {
    code: "invalid_argument",
  });
});

Deno.test("Datagrams.send refuses broadcasts", async () => {
  await using world = new World();
  const a = await world.node(5);
  for (const network of [0, 3]) {
    await assert.rejects(a.datagrams.send({ network, node: BROADCAST_NODE }, 1, bytes("x")), {
      code: "invalid_argument",
    });
  }
});

Deno.test("Datagrams.send fails when the peer may not be reached", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.node(7);
  world.directory.untrusted.add(7);
  await assert.rejects(a.datagrams.send({ network: 0, node: 7 }, 1, bytes("x")), {
    code: "untrusted",
  });
});

Deno.test("Datagrams drops what comes from strangers to a private node, and empty ones", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7, { isPublic: false });
  b.trusted.add(5);
  await world.meet(a, b);
  b.trusted.delete(5);
  b.gate.forget(5);
  a.send(datagram(a, b, "stranger"));
  await world.run(10);
  assert.deepEqual(texts(b), []);
  assert.ok(b.eventNames.includes("datagram.rejected"));
  b.trusted.add(5);
  a.send(datagram(a, b, ""));
  a.send(datagram(a, b, "friend"));
  await world.run(10);
  assert.deepEqual(texts(b), ["friend"]);
});

Deno.test("Datagrams to the node itself arrive, also on a private one", async () => {
  await using world = new World();
  const a = await world.node(5, { isPublic: false });
  const data = bytes("self");
  await a.datagrams.send({ network: 0, node: 5 }, 1, data);
  data.fill(0);
  await world.run(0);
  assert.deepEqual(texts(a), ["self"]);
});

Deno.test("Loopback delivers in order in a later turn, bounded, and nothing after close", async () => {
  const clock = new ManualClock();
  const got: string[] = [];
  const loopback = new Loopback(clock);
  loopback.start(({ payload }) => void got.push(new TextDecoder().decode(payload)));
  const self = { node: 5 };
  for (let i = 0; i < MAX_LOOPBACK_PACKETS + 10; i++) loopback.send(datagram(self, self, `${i}`));
  assert.deepEqual(got, []);
  await clock.run(0);
  assert.equal(got.length, MAX_LOOPBACK_PACKETS);
  assert.deepEqual(got.slice(0, 3), ["0", "1", "2"]);
  loopback.send(datagram(self, self, "again"));
  await clock.run(0);
  assert.equal(got.at(-1), "again");
  loopback.send(datagram(self, self, "late"));
  loopback.close();
  await clock.run(10);
  assert.equal(got.at(-1), "again");
  assert.equal(clock.pending, 0);
});
