/** The beacon on real sockets, byte by byte: docs/protocol/beacon.md. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { Beacon } from "../../../rendezvous/beacon/beacon.ts";
import { split } from "../support/client.ts";
import { pass, withServer } from "../support/server.ts";
import { BEACON_ROWS, type BeaconRow, type Who } from "./beacon_rows.ts";

const NAMES: readonly Who[] = ["A", "B", "C"];
/** Numbers of nodes that only mark the end of what came, one for each socket. */
const MARKS: Readonly<Record<Who, string>> = { A: "fffffff0", B: "fffffff1", C: "fffffff2" };
/** The length field of a datagram, header excluded. */
const MAX_BYTES = 65_535;
/** What fits: the IPv4 header counts for the length field of IPv4, that of UDP for both. */
const LARGEST = { "127.0.0.1": MAX_BYTES - 28, "::1": MAX_BYTES - 8 };
type Host = keyof typeof LARGEST;

const HAS_IPV6 = Object.values(networkInterfaces()).flat().some((each) => each?.address === "::1");
const FORMS = (["portable", "linux"] as const).flatMap((udp) =>
  (["127.0.0.1", "::1"] as const).map((host) => ({
    udp,
    host,
    name: `${udp} socket, ${host}`,
    ignore: udp === "linux" && linuxSocketProblem() !== "" || isIPv6(host) && !HAS_IPV6,
  }))
);

/** Sockets A, B and C, and a beacon. */
class Sockets implements Disposable {
  readonly #sockets: ReadonlyMap<Who, Deno.DatagramConn>;
  readonly #beacon: Deno.NetAddr;

  constructor(beaconAddr: string, host: Host) {
    this.#beacon = { transport: "udp", ...split(beaconAddr) };
    this.#sockets = new Map(NAMES.map((who) => {
      return [who, Deno.listenDatagram({ transport: "udp", hostname: host, port: 0 })];
    }));
  }

  #of(who: Who): Deno.DatagramConn {
    return this.#sockets.get(who)!;
  }

  /** `{A}` and the like become endpoints. */
  resolve(hex: string): string {
    return hex.replace(/\{([ABC])\}/g, (_, who: Who) => {
      const { hostname, port } = this.#of(who).addr as Deno.NetAddr;
      const ip = isIPv6(hostname) ? `10${"00".repeat(15)}01` : "047f000001";
      return ip + port.toString(16).padStart(4, "0");
    });
  }

  async send(who: Who, datagram: Uint8Array): Promise<void> {
    assert.equal(await this.#of(who).send(datagram, this.#beacon), datagram.length);
  }

  /** The next datagram, which must come from the beacon. */
  async next(who: Who): Promise<string> {
    const [data, from] = await this.#of(who).receive(new Uint8Array(MAX_BYTES));
    assert.equal((from as Deno.NetAddr).port, this.#beacon.port, "replies leave the same socket");
    return Buffer.from(data).toString("hex");
  }

  /** Everything that has come: datagrams stay in order, so what follows a mark comes after the rest. */
  async received(who: Who): Promise<string[]> {
    const mark = MARKS[who];
    await this.send(who, hex(`01${mark}`));
    await this.send(who, hex(`05${mark}${mark}`));
    const got: string[] = [];
    for (;;) {
      const datagram = await this.next(who);
      if (datagram !== `06${mark}`) got.push(datagram);
      else {
        // The answer to the mark's own Discover.
        assert.equal(got.pop(), this.resolve(`02{${who}}`));
        return got;
      }
    }
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.close();
  }
}

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** Runs a body with a beacon of its own. */
function withSockets(
  { udp, host }: { udp: "portable" | "linux"; host: Host },
  body: (sockets: Sockets) => Promise<void>,
): Promise<void> {
  const beaconAddr = isIPv6(host) ? `[${host}]:0` : `${host}:0`;
  return withServer(async ({ server }) => {
    using sockets = new Sockets(server.beaconAddr, host);
    await body(sockets);
  }, { beaconAddr, beacon: { udp, probePort: 0 } });
}

async function tryRow(sockets: Sockets, row: BeaconRow): Promise<void> {
  for (const [who, datagram] of row.given ?? []) {
    await sockets.send(who, hex(datagram));
    await sockets.received(who); // before the next: what comes from other sockets may overtake
  }
  for (const who of NAMES) await sockets.received(who);
  const [sender, datagram] = row.send;
  await sockets.send(sender, hex(datagram));
  const others = NAMES.filter((who) => who !== sender);
  // The sender first: after its mark the beacon has answered everybody.
  for (const who of [sender, ...others]) {
    const expected = (row.answers?.[who] ?? []).map((text) => sockets.resolve(text));
    assert.deepEqual(await sockets.received(who), expected, `${row.about}: what ${who} gets`);
  }
}

for (const form of FORMS) {
  const { name, ignore, host } = form;

  Deno.test({
    name: `the beacon answers as §2 says, or not at all (${name})`,
    ignore,
    fn: async (t) => {
      for (const row of BEACON_ROWS) {
        await t.step(row.about, () => withSockets(form, (sockets) => tryRow(sockets, row)));
      }
    },
  });

  Deno.test({
    name: `the largest datagrams are relayed whole, or ignored (${name})`,
    ignore,
    fn: () =>
      withSockets(form, async (sockets) => {
        await sockets.send("B", hex("010000002b"));
        await sockets.received("B");
        const relay = new Uint8Array(LARGEST[host]).map((_, i) => i);
        relay.set(hex("050000002a0000002b"));
        const frame = Buffer.from(relay.subarray(9)).toString("hex");
        await sockets.send("A", relay);
        assert.deepEqual(await sockets.received("A"), []);
        assert.deepEqual(await sockets.received("B"), [`060000002a${frame}`]);
        await sockets.send("B", hex("080000002b"));
        assert.deepEqual(await sockets.received("B"), [sockets.resolve("02{B}")]);
        await sockets.send("A", relay);
        assert.deepEqual(await sockets.received("A"), []);
        assert.deepEqual(await sockets.received("B"), [`090000002a0000002b${frame}`]);
        for (const type of [0x00, 0x02, 0x04, 0x06, 0x07, 0x0a, 0x0d, 0x0e, 0x0f, 0x50, 0xff]) {
          const noise = new Uint8Array(LARGEST[host]).fill(0xff);
          noise[0] = type;
          await sockets.send("A", noise);
          assert.deepEqual(await sockets.received("A"), [], `type ${type}`);
        }
        assert.deepEqual(await sockets.received("B"), []);
      }),
  });
}

Deno.test("65,535 bytes, more than UDP carries, get the same answers", () => {
  const beacon = new Beacon();
  const [a, b] = [4000, 4001].map((port) => ({ host: "203.0.113.5", port }));
  const send = (datagram: Uint8Array) =>
    beacon.receive(datagram, a!, 0).map(({ bytes, to }) => [Buffer.from(bytes), to]);
  beacon.receive(hex("010000002b"), b!, 0);
  const large = (start: string) => {
    const datagram = new Uint8Array(MAX_BYTES).map((_, i) => i);
    datagram.set(hex(start));
    return datagram;
  };
  const relay = large("050000002a0000002b");
  const frame = relay.slice(9);
  assert.deepEqual(send(relay), [[Buffer.concat([hex("060000002a"), frame]), b]]);
  assert.deepEqual(send(large("010000002a")), [[Buffer.from("0204cb0071050fa0", "hex"), a]]);
  assert.deepEqual(send(large("070000000100020000002a0000002b")), []);
  for (const type of ["00", "02", "04", "06", "0a", "0e", "50", "ff"]) {
    assert.deepEqual(send(large(type)), [], type);
  }
});

Deno.test("beacons send each other their nodes, and forward a relay once and unchanged", async () => {
  const peer = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  using _ = { [Symbol.dispose]: () => peer.close() };
  const { port } = peer.addr as Deno.NetAddr;
  const next = async () => Buffer.from((await peer.receive())[0]).toString("hex");
  await withServer(async ({ server, clock }) => {
    const beacon: Deno.NetAddr = { transport: "udp", ...split(server.beaconAddr) };
    using sockets = new Sockets(server.beaconAddr, "127.0.0.1");
    assert.equal(await next(), "07000000070000", "even with 0 nodes");
    await sockets.send("A", hex("010000002a"));
    assert.equal(await sockets.next("A"), sockets.resolve("02{A}"));
    await sockets.send("A", hex("080000002b"));
    assert.equal(await sockets.next("A"), sockets.resolve("02{A}"));
    await pass(server, clock, 10_000);
    assert.equal(await next(), "070000000700020000002a0000002b");
    // The peer has 77. What it has is learned in the order in which it comes: its own relay shows that it was.
    await peer.send(hex("070000000200010000004d"), beacon);
    await peer.send(hex("050000004d0000002a01"), beacon);
    assert.equal(await sockets.next("A"), "060000004d01");
    await sockets.send("A", hex("050000002a0000004d68656c6c6f"));
    assert.equal(await next(), "050000002a0000004d68656c6c6f");
    // Not back to where it came from, and not to others.
    await peer.send(hex("050000002a0000004d68656c6c6f"), beacon);
    await peer.send(hex("01000000ee"), beacon);
    assert.match(await next(), /^02/);
    // An empty list replaces the one before.
    await pass(server, clock, 1_000);
    await peer.send(hex("07000000020000"), beacon);
    await peer.send(hex("01000000ee"), beacon);
    assert.match(await next(), /^02/);
    await sockets.send("A", hex("050000002a0000004d68656c6c6f"));
    assert.deepEqual(await sockets.received("A"), []);
    await peer.send(hex("01000000ee"), beacon);
    assert.match(await next(), /^02/);
  }, { beacon: { id: 7, peers: [`127.0.0.1:${port}`], probePort: 0 } });
});
