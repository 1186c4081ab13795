import assert from "node:assert/strict";
import { ACK, type Packet, PROTO_CONTROL } from "../../../protocol/packet.ts";
import { RELAY_ROUTE, type Route } from "../../../protocol/path/mod.ts";
import { PROBE_PAYLOAD } from "../../../protocol/tunnel/tunnel_limits.ts";
import { Control, MAX_PINGS, PONG_RATE } from "../../../daemon/stream/control_packets.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { World } from "../harness/world.ts";

const PEER = { network: 0, node: 7 };
const DIRECT: Route = { via: "direct", endpoint: { host: "192.0.2.7", port: 4000 } };

function control(ensure: (node: number) => Promise<void> = () => Promise.resolve()) {
  const clock = new ManualClock();
  const sent: Packet[] = [];
  const strangers = new Set<number>();
  const questions: number[] = [];
  return {
    clock,
    sent,
    strangers,
    questions,
    control: new Control({
      clock,
      self: () => 5,
      ensure,
      send: (packet) => void sent.push({ ...packet, payload: packet.payload.slice() }),
      gate: {
        mayKnow: (node) => !strangers.has(node),
        noteQuestion: (node) => void questions.push(node),
      },
    }),
  };
}

function packet(changes: Partial<Packet>): Packet {
  return {
    flags: 0,
    protocol: PROTO_CONTROL,
    srcNetwork: 0,
    srcNode: 7,
    dstNetwork: 0,
    dstNode: 5,
    srcPort: 99,
    dstPort: 0,
    seq: 41,
    ack: 0,
    window: 0,
    payload: PROBE_PAYLOAD,
    ...changes,
  };
}

/** The answer to a ping. */
function pong(ping: Packet, changes: Partial<Packet> = {}): Packet {
  const ends = { srcNode: ping.dstNode, dstNode: ping.srcNode, srcPort: 0, dstPort: ping.srcPort };
  return { ...ping, ...ends, flags: ACK, ack: ping.seq + 1, ...changes };
}

Deno.test("Control answers a ping with what it carried, ends swapped", () => {
  const { control: it, sent } = control();
  it.onPacket(packet({ srcNetwork: 3, dstNetwork: 3, seq: 0xffffffff }), DIRECT);
  assert.deepEqual(
    sent,
    [packet({
      flags: ACK,
      srcNetwork: 3,
      dstNetwork: 3,
      srcNode: 5,
      dstNode: 7,
      srcPort: 0,
      dstPort: 99,
      seq: 0xffffffff,
    })],
  );
});

Deno.test("Control answers no answer, no keepalive and nothing for another port", () => {
  const { control: it, sent } = control();
  it.onPacket(packet({ flags: ACK }), DIRECT);
  it.onPacket(packet({ payload: new Uint8Array(0) }), DIRECT);
  it.onPacket(packet({ dstPort: 1 }), DIRECT);
  it.onPacket(packet({ dstPort: 1005 }), DIRECT);
  assert.deepEqual(sent, []);
});

Deno.test("Control is not there for strangers", () => {
  const { control: it, sent, strangers } = control();
  strangers.add(7);
  it.onPacket(packet({}), RELAY_ROUTE);
  it.onPacket(packet({}), DIRECT);
  assert.deepEqual(sent, []);
  it.onPacket(packet({ srcNode: 8 }), DIRECT);
  assert.equal(sent.length, 1);
});

Deno.test("Control limits its answers", () => {
  const { control: it, sent } = control();
  for (let i = 0; i < PONG_RATE.burst + 100; i++) it.onPacket(packet({}), DIRECT);
  assert.equal(sent.length, PONG_RATE.burst);
});

Deno.test("Control.ping measures the round trip and says by which path", async () => {
  const { control: it, sent, clock, questions } = control();
  const ping = it.ping(PEER, { timeoutMs: 1_000 });
  assert.deepEqual(questions, [7]);
  await clock.run(30);
  it.onPacket(pong(sent[0]!), RELAY_ROUTE);
  assert.deepEqual(await ping, { rttMs: 30, relayed: true });
  assert.equal(clock.pending, 0);
});

Deno.test("Control.ping is sent again, with pauses that grow, until it is answered", async () => {
  const { control: it, sent, clock } = control();
  const ping = it.ping(PEER, { timeoutMs: 60_000 });
  await clock.run(250 + 500 + 1_000 + 10);
  assert.equal(sent.length, 4);
  it.onPacket(pong(sent[3]!), DIRECT);
  assert.deepEqual(await ping, { rttMs: 10, relayed: false });
  await clock.run(60_000);
  assert.equal(sent.length, 4);
});

Deno.test("Control.ping measures from the copy that was answered", async () => {
  const { control: it, sent, clock } = control();
  const ping = it.ping(PEER, { timeoutMs: 60_000 });
  await clock.run(260);
  assert.equal(sent.length, 2);
  it.onPacket(pong(sent[0]!), DIRECT);
  assert.deepEqual(await ping, { rttMs: 260, relayed: false });
});

Deno.test("Control.ping takes no answer from another node, for another ping, or without a ping", async () => {
  const { control: it, sent, clock } = control();
  const ping = it.ping(PEER, { timeoutMs: 1_000 });
  await clock.run(10);
  it.onPacket(pong(sent[0]!, { srcNode: 8 }), DIRECT);
  it.onPacket(pong(sent[0]!, { dstPort: sent[0]!.srcPort + 1 }), DIRECT);
  it.onPacket(pong(sent[0]!, { flags: 0 }), DIRECT);
  await assert.rejects(clock.finish(ping), { code: "timeout" });
  it.onPacket(pong(sent[0]!), DIRECT);
  assert.equal(clock.pending, 0);
});

Deno.test("Control.ping fails with aborted at once", async () => {
  const { control: it, clock } = control();
  const controller = new AbortController();
  const ping = it.ping(PEER, { timeoutMs: 1_000, signal: controller.signal });
  await clock.run(10);
  controller.abort();
  await assert.rejects(ping, { code: "aborted" });
  assert.equal(clock.pending, 0);
});

Deno.test("Control.ping keeps to its time and signal also while the peer is looked for", async () => {
  const { promise } = Promise.withResolvers<void>();
  const { control: it, clock } = control(() => promise);
  const start = clock.now();
  await assert.rejects(clock.finish(it.ping(PEER, { timeoutMs: 700 })), { code: "timeout" });
  assert.equal(clock.now() - start, 700);
  const controller = new AbortController();
  const ping = it.ping(PEER, { timeoutMs: 700, signal: controller.signal });
  controller.abort();
  await assert.rejects(ping, { code: "aborted" });
  assert.equal(clock.pending, 0);
});

Deno.test("Control.ping is bounded in number, and every number is free again afterwards", async () => {
  const { control: it, clock } = control();
  const pings = Array.from({ length: MAX_PINGS }, () => it.ping(PEER, { timeoutMs: 100 }));
  const codes = Promise.all(pings.map((ping) => ping.catch((error) => error.code)));
  await clock.run(0);
  await assert.rejects(it.ping(PEER, { timeoutMs: 100 }), { code: "limit_exceeded" });
  assert.deepEqual([...new Set(await clock.finish(codes))], ["timeout"]);
  await assert.rejects(clock.finish(it.ping(PEER, { timeoutMs: 100 })), { code: "timeout" });
});

Deno.test("Control.ping reaches peers over the tunnel, through the beacon, and the node itself", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.node(7);
  const direct = await world.clock.finish(a.control.ping(PEER, { timeoutMs: 5_000 }));
  assert.equal(direct.relayed, false);
  assert.equal(
    (await world.clock.finish(a.control.ping(PEER, { timeoutMs: 5_000 }))).rttMs,
    2 * world.net.delayMs,
  );
  assert.equal(
    (await world.clock.finish(a.control.ping({ network: 0, node: 5 }, { timeoutMs: 5_000 }))).rttMs,
    0,
  );
  await world.node(9);
  world.directory.endpoints.delete(9);
  const far = a.control.ping({ network: 0, node: 9 }, { timeoutMs: 5_000 });
  assert.equal((await world.clock.finish(far)).relayed, true);
});
