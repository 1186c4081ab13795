/** One side closed for writing while the other continues (docs/protocol/streams.md §6.5). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ACK, FIN } from "../../../protocol/packet.ts";
import type { StreamEvent } from "../../../protocol/stream/mod.ts";
import { type End, Pair } from "../../sim/pair.ts";
import { bytes, flagNames, Script } from "./support.ts";

/** Longer than any limit of a close: linger, TIME_WAIT, dead peers. */
const LONG_MS = 300_000;

function write(pair: Pair, end: End, data: Uint8Array): void {
  assert.equal(end.stream!.write(data, pair.now), data.length);
  end.run(pair.now);
}

function has(end: End, event: StreamEvent): boolean {
  return end.events.includes(event);
}

/** A pair whose client has closed its writing after three bytes, which the server knows. */
function halfClosed(pair = new Pair({ record: true })): Pair {
  pair.established();
  write(pair, pair.client, bytes(3));
  assert.equal(pair.client.stream!.closeWrite(pair.now), true);
  pair.client.run(pair.now);
  pair.drive(() => has(pair.server, "end") && pair.client.stream!.isDelivered);
  return pair;
}

Deno.test("what follows a half close is answered, however late, and both then hold nothing", () => {
  const pair = halfClosed();
  const { client, server } = pair;
  assert.deepEqual(server.data, bytes(3));
  assert.equal(server.stream!.isPeerReading, true);
  assert.equal(client.stream!.state, "FIN_WAIT");
  assert.equal(client.stream!.write(bytes(1), pair.now), 0);
  assert.ok(has(client, "writable"), "told that everything was delivered");

  pair.pass(LONG_MS);
  write(pair, server, bytes(70_000));
  pair.pass(LONG_MS);
  assert.deepEqual(client.data, bytes(70_000));
  assert.ok(!has(client, "end") && !has(client, "closed"));

  server.stream!.close(pair.now);
  server.run(pair.now);
  pair.drive(() => has(client, "end") && has(client, "closed") && has(server, "closed"));
  assert.equal(client.stream!.error, undefined);
  assert.equal(server.stream!.error, undefined);
  pair.pass(11_000);
  assert.deepEqual([client.stream!.state, server.stream!.state], ["CLOSED", "CLOSED"]);
  assert.equal(client.stream!.deadline(), Infinity);
});

Deno.test("a dead peer is noticed behind a half close, from either side", () => {
  for (const side of ["client", "server"] as const) {
    const pair = halfClosed();
    const dead = pair[side === "client" ? "server" : "client"];
    dead.stream = undefined;
    dead.listening = undefined;
    dead.receive = () => {};
    pair.pass(LONG_MS);
    assert.equal(pair[side].stream!.error?.code, "timeout", side);
  }
});

Deno.test("a full close after a half close stops the peer, also where that segment is lost twice", () => {
  for (const losses of [0, 2]) {
    const pair = halfClosed();
    const { client, server } = pair;
    client.reading = false;
    client.stream!.closeRead();
    client.stream!.close(pair.now);
    const send = client.run.bind(client);
    let lost = 0;
    const link = pair.network.links[0];
    const pass = link.send.bind(link);
    link.send = (...args: Parameters<typeof pass>) => {
      if (lost++ < losses) return;
      pass(...args);
    };
    send(pair.now);
    pair.drive(() => has(server, "closed") && has(client, "closed"));
    assert.equal(server.stream!.write(bytes(1), pair.now), 0);
    assert.equal(server.stream!.error, undefined);
    assert.equal(client.stream!.error, undefined);
  }
});

Deno.test("the window of a FIN shows a peer of ours which close it is; an existing peer sees what it always saw", () => {
  const half = Script.established();
  assert.equal(half.stream.closeWrite(half.now), true);
  const [fin] = half.out();
  assert.equal(flagNames(fin!.flags), "FIN|ACK");
  assert.ok(fin!.window > 0);
  half.in({ ack: half.own(1), seq: half.peer(0) });
  half.stream.close(half.now);
  const [again] = half.out();
  assert.deepEqual([flagNames(again!.flags), again!.seq, again!.window], [
    "FIN|ACK",
    fin!.seq,
    0,
  ]);

  const full = Script.established();
  full.stream.close(full.now);
  assert.equal(full.out()[0]!.window, 0);
});

Deno.test("an existing peer gets no half close, and its FIN ends both directions", () => {
  const script = Script.established({}, 0);
  assert.equal(script.stream.isReference, true);
  assert.equal(script.stream.closeWrite(script.now), false);
  assert.deepEqual([script.stream.state, script.out()], ["ESTABLISHED", []]);
  script.stream.write(bytes(2), script.now);
  assert.equal(script.out().length, 1);
  script.in({ flags: FIN | ACK, seq: script.peer(0), ack: script.own(2), window: 8 });
  assert.equal(script.stream.isPeerReading, false);
  assert.equal(script.stream.write(bytes(1), script.now), 0);
});

Deno.test("a full FIN that overtakes nothing stays full, whatever comes after it", () => {
  const script = Script.established();
  const fin = (window: number) => ({
    ...{ flags: FIN | ACK, seq: script.peer(0), ack: script.own(0), window },
  });
  script.in(fin(9));
  assert.equal(script.stream.isPeerReading, true);
  assert.equal(script.stream.write(bytes(5), script.now), 5);
  script.out();
  script.in(fin(0));
  script.in(fin(9));
  assert.equal(script.stream.isPeerReading, false);
  assert.equal(script.stream.write(bytes(5), script.now), 0);
  const sent = script.in({ ack: script.own(5), seq: script.peer(1) });
  assert.deepEqual(sent.map(({ flags }) => flagNames(flags)), ["FIN|ACK"]);
});

Deno.test("each direction is whole, whoever closes first and whatever is lost", () => {
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.integer({ min: 1, max: 1 << 30 }),
        up: fc.nat({ max: 60_000 }),
        down: fc.nat({ max: 60_000 }),
        isClientFirst: fc.boolean(),
        loss: fc.constantFrom(0, 0.05, 0.2),
      }),
      ({ seed, up, down, isClientFirst, loss }) => {
        const link = { loss: 0, delayMs: 15 };
        const pair = new Pair({ seed, link }).established();
        link.loss = loss; // the handshake has its own limits
        const first = isClientFirst ? pair.client : pair.server;
        const second = isClientFirst ? pair.server : pair.client;
        feed(first, bytes(up, 1), (end, now) => void end.stream!.closeWrite(now));
        feed(second, bytes(down, 2), (end, now) => {
          // Its answer ends after the question has.
          if (has(end, "end")) end.stream!.close(now);
        });
        first.run(pair.now);
        second.run(pair.now);
        pair.drive(() => has(first, "closed") && has(second, "closed"));
        assert.deepEqual(second.data, bytes(up, 1));
        assert.deepEqual(first.data, bytes(down, 2));
        assert.ok(has(first, "end"));
        assert.deepEqual([first.stream!.error, second.stream!.error], [undefined, undefined]);
      },
    ),
    { numRuns: 60 },
  );
});

/** Writes all of the data as there is room, and then ends in its way. */
function feed(end: End, data: Uint8Array, finish: (end: End, now: number) => void): void {
  let rest = data;
  end.app = (end, now) => {
    rest = rest.subarray(end.stream!.write(rest, now));
    if (rest.length === 0) finish(end, now);
  };
}

Deno.test("a reset behind a half close is no whole end", () => {
  const pair = halfClosed();
  write(pair, pair.server, bytes(10));
  pair.drive(() => pair.client.data.length === 10);
  pair.server.stream!.abandon(pair.now);
  pair.server.run(pair.now);
  pair.drive(() => has(pair.client, "closed"));
  assert.equal(pair.client.stream!.error?.code, "connection_closed");
  assert.ok(!has(pair.client, "end"));
});

Deno.test("a peer that dies before it acknowledges the half close is no whole end", () => {
  const pair = new Pair().established();
  pair.server.receive = () => {};
  pair.client.stream!.closeWrite(pair.now);
  pair.client.run(pair.now);
  pair.pass(LONG_MS);
  assert.equal(pair.client.stream!.error?.code, "timeout");
  assert.ok(!has(pair.client, "end"));
});

Deno.test("a half close before its data is an error when the data do not come", () => {
  const script = Script.established();
  // Window 9: a half close, 100 bytes ahead of what has arrived.
  script.in({ flags: FIN | ACK, seq: script.peer(100), ack: script.own(0), window: 9 });
  for (let i = 0; i < 40; i++) {
    script.now += 100;
    script.stream.onTimer(script.now);
  }
  assert.equal(script.stream.error?.code, "connection_closed");
  assert.equal(
    script.stream.isPeerReading,
    false,
    "a program would be told an end without the error",
  );
});
