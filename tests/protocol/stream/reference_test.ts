import assert from "node:assert/strict";
import type { LinkOptions } from "../../sim/network.ts";
import { Pair } from "../../sim/pair.ts";
import { Random } from "../../sim/random.ts";
import { ReferencePeer } from "../../sim/reference_peer.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes } from "./support.ts";

interface Interop {
  pair: Pair;
  old: ReferencePeer;
}

/** A stream of ours that dials an older peer, or is dialled by it. */
function interop(
  options: { seed?: number; link?: LinkOptions; mss?: number; weDial?: boolean } = {},
): Interop {
  const { seed = 1, link = {}, mss = 4096, weDial = true } = options;
  const pair = new Pair({ seed, link, record: true });
  const side = weDial ? 1 : 0;
  const old = new ReferencePeer({ mss, send: (s, now) => pair.send(side, s, now) });
  pair.ends[side] = old;
  if (weDial) pair.connect();
  else old.connect(pair.now);
  const ours = weDial ? pair.client : pair.server;
  pair.drive(() => old.state === "ESTABLISHED" && ours.stream?.state === "ESTABLISHED");
  return { pair, old };
}

function joined(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((p) => [...p]));
}

Deno.test("streams open with an older peer in both directions", () => {
  for (const weDial of [true, false]) {
    const { pair, old } = interop({ weDial });
    const ours = weDial ? pair.client : pair.server;
    ours.stream?.write(bytes(3000), pair.now);
    ours.run(pair.now);
    old.write(bytes(9000, 5), pair.now);
    pair.drive(() => old.receivedBytes === 3000 && ours.data.length === 9000);
    assert.deepEqual(joined(old.received), bytes(3000));
    assert.deepEqual(ours.data, bytes(9000, 5));
  }
});

Deno.test("bulk to an older peer under loss: intact, never more than 128 segments ahead, no timer crawl", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { pair, old } = interop({ seed, link: { loss: 0.02, delayMs: 2 } });
    const total = 3_000_000;
    const data = new Random(seed).fill(new Uint8Array(total));
    let written = 0;
    pair.client.app = (end, now) => {
      written += end.stream?.write(data.subarray(written), now) ?? 0;
    };
    const start = pair.now;
    pair.client.run(pair.now);
    pair.drive(() => old.receivedBytes === total);
    let at = 0;
    for (const part of old.received) {
      assert.deepEqual(part, data.subarray(at, at += part.length));
    }
    assert.equal(old.overflowed, 0, "its out-of-order buffer never ran over");
    assert.ok(old.mostAhead <= 128 * 1152);
    const rate = total / (pair.now - start);
    // The reference needs a tick of 100 ms for each of 50 losses; we repair each in about a round trip.
    assert.ok(rate > 700, `${Math.round(rate)} kB/s`);
  }
});

Deno.test("bulk from an older peer under loss: our plain duplicates start its fast retransmit", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { pair, old } = interop({ seed, link: { loss: 0.01, delayMs: 2 } });
    const total = 2_000_000;
    const data = new Random(seed).fill(new Uint8Array(total));
    old.write(data, pair.now);
    pair.drive(() => pair.client.received.reduce((n, p) => n + p.length, 0) === total);
    assert.deepEqual(pair.client.data, data);
    assert.ok(old.fastRetransmits > 0, "fast retransmit ran");
    assert.ok(old.fastRetransmits >= old.timeouts / 4, `${old.timeouts} timeouts`);
  }
});

Deno.test("an older peer's 4096-byte segments and whole windows fit our buffer", () => {
  const { pair, old } = interop({ link: { delayMs: 20 } });
  pair.client.reading = false;
  old.write(new Uint8Array(1_000_000), pair.now);
  pair.pass(2000);
  const stats = pair.client.stream?.stats();
  assert.ok((stats?.recv_buf ?? 0) >= 500_000);
  assert.ok((stats?.recv_buf ?? 0) <= 5 << 20);
});

Deno.test("user data that an older peer would take for a report is split for it", () => {
  const { pair, old } = interop();
  const tricky = Uint8Array.from([0x53, 0x41, 0x43, 0x4b, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3]);
  for (let i = 0; i < 5; i++) {
    pair.client.stream?.write(tricky, pair.now);
    pair.client.run(pair.now);
    pair.drive(() => old.receivedBytes === (i + 1) * tricky.length, 5000);
  }
  assert.equal(old.sackReceived, 0);
});

Deno.test("close towards an older peer delivers everything first, then FIN, FIN|ACK, ACK", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { pair, old } = interop({ seed, link: { loss: 0.1 } });
    pair.client.stream?.write(bytes(100_000), pair.now);
    pair.client.stream?.close(pair.now);
    pair.client.run(pair.now);
    pair.drive(() => pair.client.events.includes("closed"));
    assert.equal(old.receivedBytes, 100_000, `seed ${seed}`);
    assert.equal(pair.client.stream?.error, undefined);
    assert.equal(old.state, "TIME_WAIT");
  }
});

Deno.test("an older peer's close in the middle of its data: everything that arrives is read, and loss is reported", () => {
  let clean = 0;
  let told = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const { pair, old } = interop({ seed, link: { loss: 0.05, delayMs: 5, jitterMs: 5 } });
    const data = new Random(seed).fill(new Uint8Array(60_000));
    old.write(data, pair.now);
    pair.pass(1);
    // Its FIN leaves with all of this unacknowledged.
    old.close(pair.now);
    pair.drive(() => pair.client.events.includes("closed"), 120_000);
    const got = pair.client.data;
    assert.deepEqual(got, data.subarray(0, got.length), "no gap, no garbage");
    assert.ok(pair.client.events.includes("end"));
    const complete = got.length === data.length;
    if (complete && pair.client.stream?.error === undefined) clean++;
    else if (!complete && pair.client.stream?.error !== undefined) told++;
  }
  assert.ok(clean > 0 && told > 0, `${clean} clean, ${told} told`);
  // A lost tail together with a lost FIN cannot be told from an end; everything else must be right.
  assert.ok(clean + told >= 36, `${clean} clean, ${told} told`);
});

Deno.test("an older peer that closes before it has taken everything is no delivery", () => {
  const { pair, old } = interop({ link: { delayMs: 20 } });
  pair.client.stream?.write(bytes(100_000), pair.now);
  pair.client.run(pair.now);
  old.close(pair.now);
  pair.drive(() => pair.client.events.includes("closed"), 120_000);
  assert.ok(old.receivedBytes < 100_000);
  assert.equal(pair.client.stream?.error?.code, "connection_closed");
  assert.match(String(pair.client.stream?.error?.message), /bytes were not sent/);
});

Deno.test("an older peer that closes without acknowledging the little that it has taken is no error", () => {
  const { pair, old } = interop({ link: { delayMs: 20 } });
  pair.client.stream?.write(bytes(100), pair.now);
  pair.client.run(pair.now);
  pair.pass(21);
  old.close(pair.now);
  pair.drive(() => pair.client.events.includes("closed"), 120_000);
  assert.equal(old.receivedBytes, 100);
  assert.equal(pair.client.stream?.error, undefined);
});

Deno.test("an idle older peer stays connected for an hour", () => {
  const { pair, old } = interop();
  pair.pass(3_600_000);
  assert.equal(pair.client.stream?.state, "ESTABLISHED");
  pair.client.stream?.write(bytes(100), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => old.receivedBytes === 100, 1000);
});

Deno.test("an older peer's restart on the same ports is accepted at once", () => {
  const { pair, old } = interop({ weDial: false });
  old.write(bytes(500), pair.now);
  pair.drive(() => pair.server.data.length === 500);
  pair.pass(5000);
  pair.server.received.length = 0;
  const reborn = new ReferencePeer({ send: (s, now) => pair.send(0, s, now) });
  pair.ends[0] = reborn;
  reborn.connect(pair.now);
  pair.drive(() => reborn.state === "ESTABLISHED", 100);
  reborn.write(bytes(50, 3), pair.now);
  pair.drive(() => pair.server.data.length === 50, 1000);
  assert.deepEqual(pair.server.data, bytes(50, 3));
  assert.equal(pair.server.dropped.length, 1);
});

Deno.test("both directions at once with an older peer under loss", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { pair, old } = interop({ seed, mss: 1024, link: { loss: 0.03, reorder: 0.05 } });
    const mine = new Random(seed).fill(new Uint8Array(200_000));
    const theirs = new Random(-seed).fill(new Uint8Array(200_000));
    pair.client.stream?.write(mine, pair.now);
    pair.client.run(pair.now);
    old.write(theirs, pair.now);
    pair.drive(() => old.receivedBytes === mine.length && pair.client.data.length === 200_000);
    assert.deepEqual(joined(old.received), mine);
    assert.deepEqual(pair.client.data, theirs);
  }
});

Deno.test("Transfer notices a wrong byte", () => {
  const pair = new Pair().established();
  new Transfer(pair.server, { write: 0, read: 100, close: false });
  pair.client.stream?.write(new Uint8Array(100), pair.now);
  pair.client.run(pair.now);
  assert.throws(() => pair.pass(100), /differ/);
});
