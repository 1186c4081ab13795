/** The cases that every form of the UDP socket must pass. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Endpoint } from "../../../protocol/ip.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../../../platform/net/udp.ts";
import type { UdpKind } from "../../../platform/settings/mod.ts";

/** Longest wait for datagrams that must come; only a failing test takes as long. */
const DEADLINE_MS = 10_000;

/** A datagram as a test keeps it. */
interface Received {
  readonly data: Uint8Array;
  readonly from: Endpoint;
}

/** A socket that keeps what it receives. */
class Peer {
  readonly got: Received[] = [];
  readonly socket: UdpSocket;
  #wanted = 0;
  #arrived: (() => void) | undefined;

  constructor(socket: UdpSocket) {
    this.socket = socket;
    socket.start((data, from) => {
      this.got.push({ data: data.slice(), from });
      if (this.got.length >= this.#wanted) this.#arrived?.();
    });
  }

  /** Waits for the next `count` datagrams. */
  async take(count: number): Promise<Received[]> {
    if (this.got.length < count) {
      this.#wanted = count;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      const timer = setTimeout(
        () => reject(new Error(`${this.got.length} of ${count} datagrams came`)),
        DEADLINE_MS,
      );
      await promise.finally(() => clearTimeout(timer));
      this.#arrived = undefined;
    }
    return this.got.splice(0, count);
  }
}

/** A datagram of `size` bytes whose content depends on `seed`. */
function pattern(size: number, seed: number): Uint8Array {
  const data = new Uint8Array(size);
  for (let i = 0; i < size; i++) data[i] = (i * 31 + seed * 17) & 0xff;
  return data;
}

function send(socket: UdpSocket, data: Uint8Array, to: Endpoint): void {
  const buffer = socket.acquire(data.length);
  buffer.set(data);
  socket.send(buffer, data.length, to);
}

/** Waits for something that no event tells. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${DEADLINE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function isUp(host: string): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 }).close();
    return true;
  } catch {
    return false; // No IPv6 on this machine.
  }
}

/** Registers the suite for one form. */
export function testUdpSocket(kind: UdpKind): void {
  const open = (host: string = "127.0.0.1", port: number = 0) =>
    openUdpSocket({ host, port, kind });
  const hasV6 = isUp("::1");

  /** A test with two sockets on loopback. */
  function pair(
    name: string,
    fn: (a: Peer, b: Peer) => Promise<void>,
    options: { hosts?: [string, string]; ignore?: boolean } = {},
  ): void {
    Deno.test({
      name: `${kind} socket ${name}`,
      ignore: options.ignore ?? false,
      async fn() {
        const [hostA, hostB] = options.hosts ?? ["127.0.0.1", "127.0.0.1"];
        const a = new Peer(await open(hostA));
        const b = new Peer(await open(hostB));
        try {
          await fn(a, b);
        } finally {
          await Promise.all([a.socket.close(), b.socket.close()]);
        }
      },
    });
  }

  pair("reports its kind and where it is bound, and the sender of a datagram", async (a, b) => {
    assert.equal(a.socket.kind, kind);
    assert.equal(a.socket.local.host, "127.0.0.1");
    assert.ok(a.socket.local.port > 0);
    send(a.socket, pattern(10, 1), b.socket.local);
    const [first] = await b.take(1);
    assert.deepEqual(first, { data: pattern(10, 1), from: a.socket.local });
    send(b.socket, pattern(3, 2), first!.from);
    assert.deepEqual(await a.take(1), [{ data: pattern(3, 2), from: b.socket.local }]);
  });

  pair("carries every size from 0 to the largest", async (a, b) => {
    for (const size of [0, 1, 2, 1152, 1472, 1473, 2047, 2048, 2049, 9216, 9217, 65_506, 65_507]) {
      send(a.socket, pattern(size, size), b.socket.local);
      const [got] = await b.take(1);
      assert.equal(got!.data.length, size);
      assert.deepEqual(got!.data, pattern(size, size));
    }
  });

  pair("drops what is larger than a datagram can be, and continues", async (a, b) => {
    a.socket.send(a.socket.acquire(), 65_508, b.socket.local);
    send(a.socket, pattern(5, 5), b.socket.local);
    assert.deepEqual((await b.take(1))[0]!.data, pattern(5, 5));
    await until(() => a.socket.stats.dropped === 1, "the drop is counted");
    assert.deepEqual(Object.values(a.socket.stats.errors), [1]);
  });

  pair("keeps the order of a burst of equal sizes", async (a, b) => {
    const count = 600;
    let sent = 0;
    while (sent < count) {
      // Bursts that fit the kernel's default receive buffer, which the portable form cannot enlarge.
      for (let i = 0; i < 60; i++, sent++) send(a.socket, pattern(1188, sent), b.socket.local);
      for (const [i, { data }] of (await b.take(60)).entries()) {
        assert.deepEqual(data, pattern(1188, sent - 60 + i));
      }
    }
  });

  pair("keeps the order of a burst of mixed sizes, empty ones included", async (a, b) => {
    const sizes = [
      100,
      100,
      100,
      40,
      100,
      100,
      0,
      0,
      100,
      200,
      200,
      0,
      1,
      1,
      1,
      2500,
      2500,
      2,
      9000,
    ];
    for (const [i, size] of sizes.entries()) send(a.socket, pattern(size, i), b.socket.local);
    const got = await b.take(sizes.length);
    assert.deepEqual(got.map(({ data }) => data), sizes.map((size, i) => pattern(size, i)));
  });

  Deno.test(`${kind} socket sends a burst with mixed destinations to the right ones`, async () => {
    const a = await open();
    const peers = [new Peer(await open()), new Peer(await open()), new Peer(await open())];
    const turns = [0, 0, 1, 1, 1, 0, 2, 1, 2, 2, 2, 2, 0, 0, 0];
    const sent: Uint8Array[][] = [[], [], []];
    for (const [i, to] of turns.entries()) {
      const data = pattern(i % 3 === 0 ? 700 : 500, i);
      sent[to]!.push(data);
      send(a, data, peers[to]!.socket.local);
    }
    for (const [i, peer] of peers.entries()) {
      const got = await peer.take(sent[i]!.length);
      assert.deepEqual(got.map(({ data }) => data), sent[i]);
    }
    await Promise.all([a.close(), ...peers.map((peer) => peer.socket.close())]);
  });

  Deno.test(`${kind} socket brings any burst whole, in order and to the right ones`, async () => {
    const a = await open();
    const peers = [new Peer(await open()), new Peer(await open())];
    const runs = fc.array(
      fc.record({
        to: fc.array(fc.nat(1), { minLength: 1, maxLength: 3 }),
        size: fc.integer({ min: 1, max: 1400 }),
        count: fc.integer({ min: 1, max: 8 }),
        last: fc.integer({ min: 0, max: 1400 }),
      }),
      { minLength: 1, maxLength: 6 },
    );
    const property = fc.asyncProperty(runs, async (runs) => {
      const sent: Uint8Array[][] = [[], []];
      let seed = 0;
      for (const { to, size, count, last } of runs) {
        for (let i = 0; i <= count; i++) {
          const peer = to[i % to.length]!;
          const data = pattern(i < count ? size : Math.min(last, size), seed++);
          sent[peer]!.push(data);
          send(a, data, peers[peer]!.socket.local);
        }
      }
      for (const [i, peer] of peers.entries()) {
        const got = await peer.take(sent[i]!.length);
        assert.deepEqual(got.map(({ data }) => data), sent[i]);
        assert.deepEqual(peer.got, [], "and no more");
      }
    });
    try {
      // What a failed run left under way would be taken for the next one's.
      await fc.assert(property, { endOnFailure: true });
    } finally {
      await Promise.all([a.close(), ...peers.map((peer) => peer.socket.close())]);
    }
  });

  pair("sends more in one task than it has buffers, without mixing any up", async (a, b) => {
    // As much as the kernel's default receive buffers hold, which the Linux form at least doubles.
    const count = kind === "portable" ? 200 : 520;
    for (let i = 0; i < count; i++) send(a.socket, pattern(40, i), b.socket.local);
    for (const [i, { data }] of (await b.take(count)).entries()) {
      assert.deepEqual(data, pattern(40, i));
    }
  });

  pair("does not reuse a buffer before its datagram has left", async (a, b) => {
    const buffers = new Set<Uint8Array>();
    for (let i = 0; i < 20; i++) {
      const buffer = a.socket.acquire(200);
      assert.ok(buffer.length >= 200);
      assert.ok(!buffers.has(buffer));
      buffers.add(buffer);
      buffer.set(pattern(200, i));
      a.socket.send(buffer, 200, b.socket.local);
    }
    // Scribbling over other buffers must not change what is under way.
    for (let i = 0; i < 20; i++) {
      const buffer = a.socket.acquire(200);
      assert.ok(!buffers.has(buffer));
      buffers.add(buffer.fill(0xee));
    }
    for (const [i, { data }] of (await b.take(20)).entries()) {
      assert.deepEqual(data, pattern(200, i));
    }
  });

  pair("gives the same buffers again after they have left", async (a, b) => {
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 2000; i++) {
      const buffer = a.socket.acquire(100);
      buffers.add(buffer.buffer);
      a.socket.send(buffer, 100, b.socket.local);
      if (i % 50 === 49) await b.take(50);
    }
    assert.ok(buffers.size <= 60, `${buffers.size} buffers`);
  });

  pair("counts datagrams and bytes", async (a, b) => {
    for (let i = 0; i < 10; i++) send(a.socket, pattern(100 + i, i), b.socket.local);
    await b.take(10);
    await until(() => a.socket.stats.sent === 10, "all are counted");
    assert.equal(a.socket.stats.sentBytes, 1045);
    assert.equal(b.socket.stats.received, 10);
    assert.equal(b.socket.stats.receivedBytes, 1045);
    assert.equal(a.socket.stats.dropped, 0);
    assert.ok(a.socket.stats.sendCalls > 0 && b.socket.stats.receiveCalls > 0);
    assert.deepEqual(a.socket.stats.errors, {});
  });

  pair("answers from within the handler", async (a, b) => {
    const echo = await open();
    echo.start((data, from) => send(echo, data, from));
    for (let i = 0; i < 50; i++) {
      send(a.socket, pattern(64, i), echo.local);
      assert.deepEqual(await a.take(1), [{ data: pattern(64, i), from: echo.local }]);
    }
    await echo.close();
    assert.equal(b.got.length, 0);
  });

  pair("survives sending to closed ports", async (a, b) => {
    const gone = await open();
    await gone.close();
    for (let i = 0; i < 5; i++) {
      send(a.socket, pattern(9, i), gone.local);
      send(a.socket, pattern(9, i), b.socket.local);
      assert.deepEqual((await b.take(1))[0]!.data, pattern(9, i));
    }
    send(b.socket, pattern(4, 4), a.socket.local);
    assert.deepEqual((await a.take(1))[0]!.data, pattern(4, 4));
  });

  pair("sends nothing to port 0 and, where that can be had, to all of a network", async (a, b) => {
    const nowhere = [{ host: "127.0.0.1", port: 0 }];
    // Deno's sockets may broadcast, and cannot be told otherwise.
    if (kind === "linux") nowhere.push({ host: "127.255.255.255", port: 9 });
    for (const to of nowhere) send(a.socket, pattern(9, 1), to);
    send(a.socket, pattern(9, 2), b.socket.local);
    assert.deepEqual((await b.take(1))[0]!.data, pattern(9, 2));
    await until(() => a.socket.stats.dropped === nowhere.length, "the drops are counted");
  });

  pair("drops datagrams for what is not an address, and continues", async (a, b) => {
    send(a.socket, pattern(9, 1), { host: "", port: 9 });
    send(a.socket, pattern(9, 1), { host: "fe80::1%no-such-interface", port: 9 });
    send(a.socket, pattern(9, 2), b.socket.local);
    assert.deepEqual((await b.take(1))[0]!.data, pattern(9, 2));
    await until(() => a.socket.stats.dropped === 2, "the drops are counted");
  });

  pair("speaks IPv6", async (a, b) => {
    send(a.socket, pattern(1188, 1), b.socket.local);
    send(a.socket, pattern(1188, 2), b.socket.local);
    const got = await b.take(2);
    assert.deepEqual(got[0], { data: pattern(1188, 1), from: a.socket.local });
    assert.equal(got[0]!.from.host, "::1");
    send(b.socket, pattern(7, 7), got[1]!.from);
    assert.deepEqual((await a.take(1))[0]!.data, pattern(7, 7));
  }, { hosts: ["::1", "::1"], ignore: !hasV6 });

  pair("speaks IPv4 and IPv6 when bound to ::, and reduces mapped addresses", async (dual, v4) => {
    const { port } = dual.socket.local;
    assert.equal(dual.socket.local.host, "::");
    const v6 = new Peer(await open("::1"));
    const heard = ({ host, port }: Endpoint) =>
      kind === "linux" ? { host, port, local: host } : { host, port };
    send(v4.socket, pattern(5, 4), { host: "127.0.0.1", port });
    assert.deepEqual(await dual.take(1), [{ data: pattern(5, 4), from: heard(v4.socket.local) }]);
    send(v6.socket, pattern(5, 6), { host: "::1", port });
    assert.deepEqual(await dual.take(1), [{ data: pattern(5, 6), from: heard(v6.socket.local) }]);
    send(dual.socket, pattern(6, 4), v4.socket.local);
    send(dual.socket, pattern(6, 6), v6.socket.local);
    assert.deepEqual(await v4.take(1), [{
      data: pattern(6, 4),
      from: { host: "127.0.0.1", port },
    }]);
    assert.deepEqual(await v6.take(1), [{ data: pattern(6, 6), from: { host: "::1", port } }]);
    await v6.socket.close();
  }, { hosts: ["::", "127.0.0.1"], ignore: !hasV6 });

  pair("keeps timers going under a flood", async (a, b) => {
    let isStopped = false;
    let ticks = 0;
    b.socket.start(() => {});
    const flood = async () => {
      while (!isStopped) {
        for (let i = 0; i < 64; i++) send(a.socket, pattern(64, i), b.socket.local);
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    };
    const flooding = flood();
    while (ticks < 20) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      ticks++;
    }
    isStopped = true;
    await flooding;
    assert.ok(b.socket.stats.received > 0);
  });

  Deno.test(`${kind} socket cannot take a port that is in use`, async () => {
    const first = await open();
    await assert.rejects(
      open("127.0.0.1", first.local.port),
      (error) =>
        error instanceof PilotError && error.code === "already_exists" &&
        error.message.includes(String(first.local.port)),
    );
    await first.close();
    const again = await open("127.0.0.1", first.local.port);
    await again.close();
  });

  Deno.test(`${kind} socket cannot bind an address that is not this machine's`, async () => {
    await assert.rejects(
      open("192.0.2.1"),
      (error) => error instanceof PilotError && error.code === "io_error",
    );
  });

  Deno.test(`${kind} socket binds a host name`, async () => {
    const socket = await open("localhost");
    assert.ok(["127.0.0.1", "::1"].includes(socket.local.host));
    await socket.close();
  });

  Deno.test(`${kind} socket closes while it waits, at once, and more than once`, async () => {
    const socket = await open();
    const peer = new Peer(socket);
    send(socket, pattern(1, 1), socket.local);
    await peer.take(1);
    // Let it get to waiting.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const start = performance.now();
    await Promise.all([socket.close(), socket.close()]);
    await socket.close();
    assert.ok(performance.now() - start < 2000);
  });

  Deno.test(`${kind} socket closes before it was started`, async () => {
    const socket = await open();
    await socket.close();
    socket.start(() => assert.fail("no datagram can come"));
  });

  Deno.test(`${kind} socket closes from within its handler and hands over nothing afterwards`, async () => {
    const socket = await open();
    const sender = await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    let calls = 0;
    socket.start(() => {
      calls++;
      resolve(socket.close());
    });
    for (let i = 0; i < 20; i++) send(sender, pattern(30, i), socket.local);
    await promise;
    assert.equal(calls, 1);
    await sender.close();
  });

  Deno.test(`${kind} socket sends what was queued when it is closed`, async () => {
    const peer = new Peer(await open());
    const socket = await open();
    for (let i = 0; i < 5; i++) send(socket, pattern(30, i), peer.socket.local);
    await socket.close();
    assert.equal((await peer.take(5)).length, 5);
    await peer.socket.close();
  });

  Deno.test(`${kind} socket drops what is sent after it was closed`, async () => {
    const socket = await open();
    const { local } = socket;
    const before = socket.acquire(10);
    await socket.close();
    socket.send(before, 10, local);
    send(socket, pattern(10, 1), local);
    assert.equal(socket.stats.dropped, 2);
    assert.equal(socket.stats.sent, 0);
  });
}
