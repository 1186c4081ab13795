import assert from "node:assert/strict";
import fc from "fast-check";
import { encodePilk, encodePilt } from "../../../protocol/tunnel/frame.ts";
import { encodePacket } from "../../../protocol/packet.ts";
import { settle } from "../../support/settle.ts";
import { datagram, texts, World } from "../harness/world.ts";

const ATTACKER = { host: "198.51.100.66", port: 666 };

Deno.test("a replayed PILS is dropped and does not move the path", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const frame = await world.capture(b, a, "once");
  world.net.inject(frame, b.endpoint, a.endpoint);
  await world.run(10);
  const { replaysDropped } = a.tunnels.stats;
  for (let i = 0; i < 3; i++) world.net.inject(frame, ATTACKER, a.endpoint);
  await world.run(10);
  assert.deepEqual(texts(a), ["once"]);
  assert.equal(a.tunnels.stats.replaysDropped, replaysDropped + 3);
  assert.equal(a.tunnels.list()[0]!.endpoint, "192.0.2.7:4000");
});

Deno.test("a reflected PILS is dropped, also with the sender rewritten", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const own = await world.capture(a, b, "mine");
  const received = a.received.length;
  const { sent } = a.socket.stats;
  world.net.inject(own, b.endpoint, a.endpoint);
  await world.run(10);
  assert.equal(a.socket.stats.sent, sent, "and not answered");
  const rewritten = own.slice();
  rewritten[7] = 7;
  world.net.inject(rewritten, b.endpoint, a.endpoint);
  await world.run(10);
  assert.equal(a.received.length, received);
  b.send(datagram(b, a, "fine"));
  await world.run(10);
  assert.deepEqual(texts(a), ["fine"]);
});

Deno.test("a forged PILS with a huge counter does not poison the replay window", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const frame = await world.capture(b, a, "real");
  for (const top of [0x00_1f, 0x7f_ff, 0xff_ff]) {
    const forged = frame.slice();
    new DataView(forged.buffer).setUint16(12, top);
    forged.fill(0xff, 14, 20);
    world.net.inject(forged, b.endpoint, a.endpoint);
  }
  await world.run(10);
  assert.ok(a.tunnels.stats.encryptFail >= 3);
  world.net.inject(frame, b.endpoint, a.endpoint);
  await world.run(10);
  assert.deepEqual(texts(a), ["real"]);
});

Deno.test("truncated and bit-flipped PILS change nothing (property)", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const frame = await world.capture(b, a, "genuine");
  const received = a.received.length;
  fc.assert(
    fc.property(
      fc.nat(frame.length - 1),
      fc.nat(7),
      fc.boolean(),
      (byte, bit, isCut) => {
        const bad = isCut ? frame.slice(0, byte) : frame.slice();
        if (!isCut) bad[byte]! ^= 1 << bit;
        a.tunnels.onDatagram(bad, ATTACKER);
        assert.equal(a.received.length, received);
        assert.equal(a.tunnels.list()[0]!.endpoint, "192.0.2.7:4000");
      },
    ),
  );
  await settle();
  a.tunnels.onDatagram(frame.slice(), b.endpoint);
  assert.deepEqual(texts(a), ["genuine"]);
});

Deno.test("any datagram at all is survived (property)", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const magic = fc.constantFrom("PILS", "PILA", "PILK", "PILP", "PILT", "PILF", "\x02", "\x06");
  fc.assert(
    fc.property(magic, fc.uint8Array({ maxLength: 300 }), fc.boolean(), (start, rest, isBeacon) => {
      const bytes = new Uint8Array([...new TextEncoder().encode(start), ...rest]);
      a.tunnels.onDatagram(bytes, isBeacon ? world.beacon!.socket.local : ATTACKER);
    }),
  );
  await settle();
  a.send(datagram(a, b, "alive"));
  await world.run(100);
  assert.deepEqual(texts(b), ["alive"]);
});

Deno.test("a peer that restarts its counter under a new prefix is heard, its old frames are not", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const seen = await world.capture(b, a, "seen");
  world.net.inject(seen, b.endpoint, a.endpoint);
  const late = await world.capture(b, a, "late");
  const again = await b.restart({ keyPair: b.keyPair });
  await world.meet(again, a);
  assert.deepEqual(a.restarted, [], "the same key");
  again.send(datagram(again, a, "new"));
  await world.run(10);
  world.net.inject(seen, b.endpoint, a.endpoint);
  world.net.inject(late, b.endpoint, a.endpoint);
  world.net.inject(late, b.endpoint, a.endpoint);
  await world.run(10);
  assert.deepEqual(texts(a), ["seen", "new", "late"]);
});

Deno.test("a counter never restarts under one key, even when the tunnel was forgotten", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  for (let i = 0; i < 3; i++) {
    await world.meet(a, b);
    a.tunnels.remove(7);
    b.tunnels.remove(5);
  }
  const counters = world.between("pils", a, b).map(({ sent }) =>
    new DataView(sent.data.buffer).getBigUint64(12)
  );
  assert.ok(counters.length >= 3);
  assert.deepEqual(counters, counters.map((_, i) => BigInt(i + 1)));
});

Deno.test("an inner source that is not the authenticated sender is dropped", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const received = a.received.length;
  b.send(datagram(b, a, "spoofed", { srcNode: 9 }));
  b.send(datagram(b, a, "zero", { srcNode: 0 }));
  await world.run(10);
  assert.equal(a.received.length, received);
});

Deno.test("a packet for another node is dropped", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const received = a.received.length;
  // Sealed for a, addressed to 9: the tunnel is chosen at the first look, the packet encoded at the second.
  let reads = 0;
  const packet = { ...datagram(b, a, "misled") };
  Object.defineProperty(packet, "dstNode", { get: () => reads++ === 0 ? 5 : 9 });
  b.tunnels.send(packet);
  await world.run(10);
  assert.ok(reads > 1);
  assert.equal(a.received.length, received);
});

Deno.test("plaintext is refused and counted", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const received = a.received.length;
  const frame = encodePilt(encodePacket(datagram(b, a, "plain")));
  world.net.inject(frame, b.endpoint, a.endpoint);
  await world.run(10);
  assert.equal(a.received.length, received);
  assert.equal(a.tunnels.stats.plaintextRefused, 1);
});

Deno.test("a PILK is never taken as a key and answered by PILA at a limited rate", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  for (let i = 0; i < 50; i++) {
    world.net.inject(encodePilk(7, b.keyPair.publicKey), ATTACKER, a.endpoint);
    await world.run(20);
  }
  assert.deepEqual(a.tunnels.list(), []);
  const answers = world.net.log.filter(({ to }) => to.host === ATTACKER.host);
  assert.ok(answers.length >= 2 && answers.length <= 3, `${answers.length} in a second`);
  assert.ok(answers.every(({ data }) => data.length === 138));
});
