import assert from "node:assert/strict";
import { isBeaconMessage } from "../../../protocol/beacon/beacon_message.ts";
import { ACK, FIN, RST, SYN } from "../../../protocol/packet.ts";
import type { Conn } from "../../../daemon/stream/stream_conn.ts";
import {
  DIAL_TIMEOUT_MS,
  MAX_CONNECTIONS_PER_PORT,
  RESET_RATE,
} from "../../../daemon/stream/host.ts";
import { SYN_RATE_STRANGER, SYN_RATE_TRUSTED } from "../../../daemon/stream/gate.ts";
import type { TestNode } from "../harness/node.ts";
import { listen, segment, segments, Sink } from "../harness/streams.ts";
import { World } from "../harness/world.ts";

const TO_7 = { network: 0, node: 7 };
const bytes = (text: string) => new TextEncoder().encode(text);

async function pair(world: World): Promise<[TestNode, TestNode]> {
  return [await world.node(5), await world.node(7)];
}

/** Everything that connections leave behind must be gone. */
async function assertNothingLeft(world: World, ...nodes: TestNode[]): Promise<void> {
  await world.run(60_000);
  for (const { node, streams } of nodes) {
    assert.deepEqual([node, streams.size, streams.residue], [node, 0, 0]);
  }
}

Deno.test("StreamHost connects two nodes, carries bytes both ways and closes in order", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  const conn = await world.clock.finish(a.streams.dial(TO_7, 80));
  const sink = new Sink(conn);
  conn.write(bytes("hello"));
  await world.clock.until(() => accepted[0]?.text === "hello");
  const other = accepted[0]!;
  assert.deepEqual(other.conn.remoteAddress, { network: 0, node: 5 });
  assert.equal(other.conn.remotePort, conn.localPort);
  assert.ok(conn.localPort >= 49_152);
  assert.deepEqual([a.streams.hasConns(7), b.streams.hasConns(5)], [true, true]);
  other.conn.write(bytes("world"));
  other.conn.close();
  await world.clock.until(() => sink.hasEnded);
  assert.equal(sink.text, "world");
  conn.close();
  await world.clock.until(() => sink.isClosed && other.isClosed);
  assert.deepEqual([sink.error, other.error], [undefined, undefined]);
  const ofConns = b.eventNames.filter((name) => name.startsWith("conn."));
  assert.deepEqual(ofConns, ["conn.syn_received", "conn.established", "conn.closed"]);
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost delivers a transfer over a lossy network", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  let count = 0;
  world.net.drop = () => ++count % 11 === 0;
  const sender = new Sink(await world.clock.finish(a.streams.dial(TO_7, 80)));
  const data = new Uint8Array(300_000).map((_, i) => i * 7);
  sender.sendAll(data);
  await world.clock.until(() => accepted[0]?.hasEnded === true, 120_000);
  const got = new Uint8Array(await new Blob(accepted[0]!.chunks as BlobPart[]).arrayBuffer());
  assert.ok(got.length === data.length && got.every((byte, i) => byte === data[i]));
  world.net.drop = () => false;
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost.dial fails with connection_refused when nothing listens", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 81)), {
    code: "connection_refused",
    message: /port 81/,
  });
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost.dial fails with timeout when the peer is not there", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  await b.kill();
  const start = world.clock.now();
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 80)), { code: "timeout" });
  assert.ok(Math.abs(world.clock.now() - start - DIAL_TIMEOUT_MS) < 10);
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 80, { timeoutMs: 700 })), {
    code: "timeout",
  });
  assert.ok(world.clock.now() - start < DIAL_TIMEOUT_MS + 750);
  await assertNothingLeft(world, a);
});

Deno.test("StreamHost.dial counts the search for the peer as part of its time", async () => {
  await using world = new World();
  const [a] = await pair(world);
  world.directory.hold(7);
  const start = world.clock.now();
  const dial = a.streams.dial(TO_7, 80, { timeoutMs: 900 });
  await assert.rejects(world.clock.finish(dial), { code: "timeout" });
  assert.equal(world.clock.now() - start, 900);
  await world.run(1_000);
  world.directory.release(7);
  await world.run(0);
  // The peer is found after half of the time, but does not answer.
  world.directory.hold(7);
  world.net.drop = () => true;
  const again = world.clock.now();
  const slow = a.streams.dial(TO_7, 80, { timeoutMs: 900 });
  const outcome = assert.rejects(slow, { code: "timeout" });
  await world.run(500);
  world.directory.release(7);
  await world.clock.finish(outcome);
  assert.ok(world.clock.now() - again <= 901, `${world.clock.now() - again}`);
  world.directory.hold(7);
  const second = a.streams.dial(TO_7, 80, { timeoutMs: 900 });
  await world.run(500);
  await a.kill();
  world.directory.release(7);
  await assert.rejects(world.clock.finish(second), { code: "not_running" });
});

Deno.test("StreamHost.dial says why a peer cannot be reached at once", async () => {
  await using world = new World();
  const [a] = await pair(world);
  world.directory.untrusted.add(7);
  await assert.rejects(a.streams.dial(TO_7, 80), { code: "untrusted" });
  await assert.rejects(a.streams.dial({ network: 0, node: 404 }, 80), { code: "not_found" });
  world.directory.isDown = true;
  await assert.rejects(a.streams.dial(TO_7, 80), { code: "unavailable" });
  await assertNothingLeft(world, a);
});

Deno.test("StreamHost.dial ends with aborted at every stage", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  listen(b, 80);
  const before = new AbortController();
  before.abort("why not");
  await assert.rejects(a.streams.dial(TO_7, 80, { signal: before.signal }), {
    code: "aborted",
    cause: "why not",
  });
  for (const afterMs of [0, 3, 12, 17, 22, 26, 31]) {
    const controller = new AbortController();
    a.tunnels.remove(7);
    b.tunnels.remove(5);
    const dial = a.streams.dial(TO_7, 80, { signal: controller.signal });
    const outcome = dial.then((conn) => conn, (error) => error.code as string);
    await world.run(afterMs);
    controller.abort();
    const result = await world.clock.finish(outcome);
    if (typeof result === "string") assert.equal(result, "aborted");
    else result.abort();
  }
  world.directory.hold(7);
  a.tunnels.remove(7);
  const controller = new AbortController();
  const dial = a.streams.dial(TO_7, 80, { signal: controller.signal });
  controller.abort();
  await assert.rejects(dial, { code: "aborted" });
  world.directory.release(7);
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost drops SYNs of untrusted peers in silence, and a private node is not there for them", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7, { isPublic: false });
  listen(b, 80);
  const dial = (port: number) =>
    world.clock.finish(a.streams.dial(TO_7, port, { timeoutMs: 5_000 }));
  for (const port of [80, 81, 444]) await assert.rejects(dial(port), { code: "timeout" });
  assert.deepEqual(b.tunnels.list(), [], "no key was exchanged");
  // With a tunnel from better times.
  b.trusted.add(5);
  (await dial(80)).abort();
  b.trusted.delete(5);
  const before = b.eventNames.length;
  const resets = segments(a, RST).length;
  for (const port of [80, 81]) await assert.rejects(dial(port), { code: "timeout" });
  assert.equal(segments(a, RST).length, resets);
  // It knows that we are here; an existing daemon then asks through the registry when it hears no at once.
  await assert.rejects(dial(444), { code: "connection_refused" });
  assert.equal(b.streams.size, 0);
  assert.ok(b.eventNames.slice(before).filter((name) => name === "syn.rejected").length > 5);
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost admits trusted peers, and expected ones on port 444 only", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7, { isPublic: false });
  listen(b, 80);
  listen(b, 444);
  b.expected.add(5);
  (await world.clock.finish(a.streams.dial(TO_7, 444), 1_000)).abort();
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 80, { timeoutMs: 3_000 })));
  b.trusted.add(5);
  (await world.clock.finish(a.streams.dial(TO_7, 80), 1_000)).abort();
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost limits SYNs of strangers and, higher, those of trusted peers", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  await world.meet(a, b);
  const syns = async (count: number) => {
    a.received.length = 0;
    for (let i = 0; i < count; i++) a.send(segment(a, b, SYN, { srcPort: 1 + i, dstPort: 9 }));
    await world.run(100);
    return segments(a, RST).length;
  };
  assert.equal(await syns(100), SYN_RATE_STRANGER.burst);
  assert.ok(b.eventNames.includes("security.syn_rate_limited"));
  await world.run(10_000);
  b.trusted.add(5);
  // What a refused SYN is answered with has a lower limit of its own.
  assert.equal(await syns(100), 100);
  assert.ok(SYN_RATE_TRUSTED.burst > SYN_RATE_STRANGER.burst);
});

Deno.test("StreamHost resets what belongs to no connection, at a limited rate", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  await world.meet(a, b);
  const send = async (flags: number, count = 1) => {
    a.received.length = 0;
    for (let i = 0; i < count; i++) a.send(segment(a, b, flags, { srcPort: i, ack: 77 }));
    await world.run(10);
    return segments(a, RST).length;
  };
  assert.deepEqual(
    [await send(ACK), await send(SYN | ACK), await send(0), await send(RST), await send(FIN)],
    [1, 1, 0, 0, 0],
  );
  assert.deepEqual([await send(FIN | ACK), await send(RST | ACK)], [0, 0]);
  await world.run(60_000);
  const { burst, perSecond } = RESET_RATE;
  const count = await send(ACK, 400);
  assert.ok(count >= burst && count <= burst + perSecond / 50, `${count}`);
  assert.equal(b.streams.residue, 0);
});

Deno.test("StreamHost bounds the connections of a port and forgets half-open ones", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  b.trusted.add(5);
  await world.meet(a, b);
  a.streams.onPacket = () => {};
  for (let i = 0; i < MAX_CONNECTIONS_PER_PORT + 50; i++) {
    a.tunnels.send(segment(a, b, SYN, { srcPort: 1 + i }));
    if (i % 4 === 0) await world.run(8);
  }
  await world.run(10);
  assert.equal(b.streams.size, MAX_CONNECTIONS_PER_PORT);
  assert.ok(segments(a, RST).length >= 50, "the others were refused");
  assert.equal(accepted.length, 0);
  await world.run(10_000);
  assert.deepEqual([b.streams.size, b.streams.residue], [0, 0]);
});

Deno.test("StreamHost does not count what is closed on both sides against the limit of a port", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  // The acceptor closes first, so it is the one that keeps answering late segments.
  b.streams.bind(80, (conn) => {
    new Sink(conn);
    conn.close();
  });
  b.trusted.add(5);
  await world.meet(a, b);
  // A batch at a time, so that the first are still there when the last come.
  for (let done = 0; done < MAX_CONNECTIONS_PER_PORT + 50; done += 50) {
    const dials = Array.from({ length: 50 }, () => a.streams.dial(TO_7, 80));
    const sinks = (await world.clock.finish(Promise.all(dials))).map((conn) => new Sink(conn));
    for (const sink of sinks) sink.conn.close();
    await world.clock.until(() => sinks.every((sink) => sink.isClosed));
  }
  assert.ok(b.streams.size > MAX_CONNECTIONS_PER_PORT, `${b.streams.size}`);
});

Deno.test("StreamHost replaces a connection when the restarted peer uses its ports again, without a RST", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  await world.meet(a, b);
  // The peer is played by hand; what comes back must not reach a's own stream host.
  const heard: number[] = [];
  a.streams.onPacket = (packet) => void heard.push(packet.flags);
  a.tunnels.send(segment(a, b, SYN, { seq: 1000 }));
  await world.run(20);
  const first = segments(a, SYN | ACK).at(-1)!;
  assert.equal(first.ack, 1001);
  a.tunnels.send(segment(a, b, ACK, { seq: 1001, ack: first.seq + 1, payload: bytes("one") }));
  await world.run(20);
  assert.equal(accepted[0]?.text, "one");

  heard.length = 0;
  a.tunnels.send(segment(a, b, SYN, { seq: 9000 }));
  await world.run(20);
  assert.ok(accepted[0]!.isClosed);
  assert.equal(accepted[0]!.error?.code, "connection_closed");
  const second = segments(a, SYN | ACK).at(-1)!;
  assert.equal(second.ack, 9001);
  a.tunnels.send(segment(a, b, ACK, { seq: 9001, ack: second.seq + 1, payload: bytes("two") }));
  await world.run(20);
  assert.equal(accepted[1]?.text, "two");
  assert.ok(
    heard.every((flags) => (flags & RST) === 0),
    "no RST that the new connection would hear",
  );
  assert.equal(b.streams.size, 1);
  accepted[1]!.conn.abort();
  await assertNothingLeft(world, b);
});

Deno.test("StreamHost treats a repeated SYN as a copy", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  await world.meet(a, b);
  a.streams.onPacket = () => {};
  const syn = segment(a, b, SYN, { seq: 1000 });
  a.tunnels.send(syn);
  a.tunnels.send(syn);
  await world.run(20);
  assert.equal(b.streams.size, 1);
  const { seq } = segments(a, SYN | ACK).at(-1)!;
  a.tunnels.send(segment(a, b, ACK, { seq: 1001, ack: seq + 1 }));
  a.tunnels.send(syn);
  await world.run(20);
  assert.equal(accepted.length, 1);
  assert.equal(accepted[0]!.isClosed, false);
  accepted[0]!.conn.abort();
  await assertNothingLeft(world, b);
});

Deno.test("StreamHost.cut resets the connections with one node only", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const c = await world.node(9);
  const atB = listen(b, 80);
  const atC = listen(c, 80);
  const toB = new Sink(await world.clock.finish(a.streams.dial(TO_7, 80)));
  const toC = new Sink(await world.clock.finish(a.streams.dial({ network: 0, node: 9 }, 80)));
  await world.run(20);
  a.streams.cut(7);
  await world.run(20);
  assert.ok(toB.isClosed && toB.error?.code === "aborted");
  assert.ok(atB[0]!.isClosed && atB[0]!.error?.code === "connection_closed");
  assert.ok(!toC.isClosed && !atC[0]!.isClosed);
  assert.ok(!a.streams.hasConns(7) && a.streams.hasConns(9));
  toC.conn.abort();
  assert.deepEqual([a.streams.size, a.streams.residue], [0, 0], "at once");
  await assertNothingLeft(world, a, b, c);
});

Deno.test("StreamHost connects a node to itself", async () => {
  await using world = new World();
  const a = await world.node(5);
  const accepted = listen(a, 80);
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: 5 }, 80));
  conn.write(bytes("to myself"));
  conn.close();
  await world.clock.until(() => accepted[0]?.hasEnded === true);
  assert.equal(accepted[0]!.text, "to myself");
  assert.equal(world.net.log.filter(({ data }) => !isBeaconMessage(data)).length, 0);
  await assertNothingLeft(world, a);
  const refused = a.streams.dial({ network: 0, node: 5 }, 81);
  await assert.rejects(world.clock.finish(refused), { code: "connection_refused" });
});

Deno.test("StreamHost.bind refuses a port that is taken and unbind frees it", async () => {
  await using world = new World();
  const a = await world.node(5);
  listen(a, 80);
  assert.throws(() => a.streams.bind(80, () => {}), { code: "already_exists" });
  assert.equal(a.streams.boundPorts, 1);
  a.streams.unbind(80);
  listen(a, 80);
});

Deno.test("StreamHost aborts a connection whose listener went while it was opening", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  await world.meet(a, b);
  const accepted = listen(b, 80);
  const dial = a.streams.dial(TO_7, 80);
  await world.clock.until(() => b.streams.size === 1);
  b.streams.unbind(80);
  const sink = new Sink(await world.clock.finish(dial));
  await world.clock.until(() => sink.isClosed);
  assert.equal(accepted.length, 0);
  await assertNothingLeft(world, a, b);
});

Deno.test("StreamHost.shutdown delivers what connections hold, then ends everything", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  const conn = new Sink(await world.clock.finish(a.streams.dial(TO_7, 80)));
  const pending = a.streams.dial(TO_7, 80, {}).then(() => "open", (error) => error.code);
  conn.conn.write(new Uint8Array(50_000));
  await world.clock.finish(a.streams.shutdown(2_000));
  await world.run(20);
  const total = accepted[0]!.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  assert.equal(total, 50_000);
  assert.ok(conn.isClosed && conn.error === undefined);
  assert.ok(["open", "connection_closed", "not_running"].includes(await pending));
  assert.deepEqual([a.streams.size, a.streams.residue], [0, 0]);
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 80)), { code: "not_running" });
  await assertNothingLeft(world, b);
});

Deno.test("StreamHost.shutdown does not wait longer than its grace for a dead peer", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  listen(b, 80);
  const conn = new Sink(await world.clock.finish(a.streams.dial(TO_7, 80)));
  await b.kill();
  conn.conn.write(bytes("nobody hears this"));
  const start = world.clock.now();
  await world.clock.finish(a.streams.shutdown(2_000));
  assert.ok(world.clock.now() - start <= 2_020);
  assert.ok(conn.isClosed);
  assert.equal(a.streams.residue, 0);
});

Deno.test("HostConn notifies a late listener of what it missed", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  let accepted: Conn | undefined;
  b.streams.bind(80, (conn) => accepted = conn);
  const conn = await world.clock.finish(a.streams.dial(TO_7, 80));
  conn.write(bytes("early"));
  conn.close();
  await world.run(1_000);
  const sink = new Sink(accepted!);
  await world.run(0);
  assert.deepEqual([sink.text, sink.hasEnded], ["early", true]);
  await world.run(30_000);
  const late = new Sink(accepted!);
  await world.run(0);
  assert.ok(late.isClosed);
  await assertNothingLeft(world, a, b);
});

Deno.test("HostConn takes no more than the send buffer holds and says when there is room", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  const accepted = listen(b, 80);
  const conn = await world.clock.finish(a.streams.dial(TO_7, 80));
  let rest = 3 << 20;
  let calls = 0;
  const fill = () => {
    calls++;
    while (rest > 0) {
      const taken = conn.write(new Uint8Array(Math.min(rest, 1 << 18)));
      if (taken === 0) break;
      rest -= taken;
    }
  };
  conn.setListener({ onReadable: () => {}, onWritable: fill, onClosed: () => {} });
  fill();
  assert.ok(rest > 0 && conn.writableBytes === 0);
  await world.clock.until(
    () => accepted[0]?.chunks.reduce((sum, { length }) => sum + length, 0) === 3 << 20,
  );
  assert.ok(calls > 1);
  conn.abort();
  await assertNothingLeft(world, a, b);
});

Deno.test("connection numbers are not shared by living connections", async () => {
  await using world = new World();
  const [a, b] = await pair(world);
  listen(b, 80);
  const conns = await world.clock.finish(
    Promise.all(Array.from({ length: 50 }, () => a.streams.dial(TO_7, 80))),
  );
  assert.equal(new Set(conns.map(({ id }) => id)).size, 50);
  assert.equal(new Set(conns.map(({ localPort }) => localPort)).size, 50);
  assert.equal([...a.streams.conns()].length, 50);
  for (const conn of conns) conn.abort();
  await assertNothingLeft(world, a, b);
});
