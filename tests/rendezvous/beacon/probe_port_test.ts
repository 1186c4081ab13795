import assert from "node:assert/strict";
import { probeReply } from "../../../rendezvous/beacon/probe_port.ts";
import { PROBE_REPLIES_BURST } from "../../../rendezvous/beacon/beacon_limits.ts";
import fc from "fast-check";
import { split } from "../support/client.ts";
import { start } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const V4 = { host: "127.0.0.1", port: 0x1234 };

Deno.test("probeReply answers a Discover of the right length with the asker's endpoint", () => {
  const question = new Uint8Array(8);
  question[0] = 1;
  assert.deepEqual([...probeReply(question, V4)!], [2, 4, 127, 0, 0, 1, 0x12, 0x34]);
  assert.equal(probeReply(question.subarray(0, 5), V4), undefined, "shorter than its answer");
  assert.equal(probeReply(question, { host: "2001:db8::1", port: 1 }), undefined);
  const long = new Uint8Array(20);
  long[0] = 1;
  assert.equal(probeReply(long, { host: "2001:db8::1", port: 1 })!.length, 20);
});

Deno.test("probeReply never answers with more than it got, and only to Discover", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (datagram) => {
    const reply = probeReply(datagram, V4);
    if (reply === undefined) return;
    assert.equal(datagram[0], 1);
    assert.ok(reply.length <= datagram.length);
  }));
});

/** A socket on loopback that is closed with the stack. */
function open(stack: DisposableStack): { socket: Deno.DatagramConn; port: number } {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  stack.adopt(socket, () => socket.close());
  return { socket, port: (socket.addr as Deno.NetAddr).port };
}

function freePort(): number {
  using stack = new DisposableStack();
  return open(stack).port;
}

async function ask(socket: Deno.DatagramConn, to: Deno.NetAddr): Promise<Uint8Array> {
  const question = new Uint8Array(32);
  question[0] = 1;
  await socket.send(question, to);
  return (await socket.receive())[0];
}

Deno.test("the probe port reports an endpoint, at a limited rate", async () => {
  const probePort = freePort();
  await using server = await start({ clock: new ManualClock(), beacon: { probePort } });
  using stack = new DisposableStack();
  const { socket, port: own } = open(stack);
  const { hostname, port } = split(server.beaconAddr);
  const to: Deno.NetAddr = { transport: "udp", hostname, port: probePort };
  for (let i = 0; i < PROBE_REPLIES_BURST; i++) {
    assert.deepEqual([...await ask(socket, to)], [2, 4, 127, 0, 0, 1, own >> 8, own & 255]);
  }
  // The next one is not answered: what comes back is the beacon's own answer to a later question.
  const question = new Uint8Array(32);
  question[0] = 1;
  await socket.send(question, to);
  await socket.send(question, { ...to, port });
  const [, from] = await socket.receive();
  assert.equal((from as Deno.NetAddr).port, port);
});

Deno.test("the beacon works when the probe port is taken or off", async () => {
  using stack = new DisposableStack();
  const { port: probePort } = open(stack);
  const { socket } = open(stack);
  for (const port of [probePort, 0]) {
    await using server = await start({ beacon: { probePort: port } });
    const to: Deno.NetAddr = { transport: "udp", ...split(server.beaconAddr) };
    assert.equal((await ask(socket, to))[0], 2);
  }
});
