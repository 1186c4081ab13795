/** The beacon on a real socket. */

import assert from "node:assert/strict";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { split } from "../support/client.ts";
import { withServer } from "../support/server.ts";

/** A socket on loopback that is closed with the stack. */
function open(stack: DisposableStack): Deno.DatagramConn {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  return stack.adopt(socket, () => socket.close());
}

/** The same with every form of socket that works here. */
function withBoth(name: string, body: Parameters<typeof withServer>[0]): void {
  const problem = linuxSocketProblem();
  for (const udp of ["portable", "linux"] as const) {
    const ignore = udp === "linux" && problem !== "";
    const title = `${name} (${udp} socket${ignore ? `: ${problem}` : ""})`;
    Deno.test({ name: title, ignore, fn: () => withServer(body, { beacon: { udp } }) });
  }
}

withBoth("two sockets find and reach each other through the beacon", async ({ server }) => {
  using stack = new DisposableStack();
  const a = open(stack);
  const b = open(stack);
  const to: Deno.NetAddr = { transport: "udp", ...split(server.beaconAddr) };
  const call = async (socket: Deno.DatagramConn, bytes: number[]) => {
    await socket.send(Uint8Array.from(bytes), to);
    return await socket.receive();
  };
  const endpoint = (socket: Deno.DatagramConn) => {
    const { port } = socket.addr as Deno.NetAddr;
    return [4, 127, 0, 0, 1, port >> 8, port & 0xff];
  };
  const [seen, from] = await call(a, [1, 0, 0, 0, 1]);
  assert.deepEqual([...seen], [2, ...endpoint(a)]);
  assert.equal((from as Deno.NetAddr).port, to.port);
  await call(b, [8, 0, 0, 0, 2]);
  const [toA] = await call(a, [3, 0, 0, 0, 1, 0, 0, 0, 2]);
  assert.deepEqual([...toA], [4, ...endpoint(b)]);
  assert.deepEqual([...(await b.receive())[0]], [4, ...endpoint(a)]);
  const frame = new Uint8Array(1200).fill(7);
  await a.send(Uint8Array.of(5, 0, 0, 0, 1, 0, 0, 0, 2, ...frame), to);
  assert.deepEqual([...(await b.receive())[0]], [9, 0, 0, 0, 1, 0, 0, 0, 2, ...frame]);
  await b.send(Uint8Array.of(5, 0, 0, 0, 2, 0, 0, 0, 1, ...frame), to);
  assert.deepEqual([...(await a.receive())[0]], [6, 0, 0, 0, 2, ...frame]);
});

withBoth("garbage and unreachable receivers do not stop the beacon", async ({ server }) => {
  const to: Deno.NetAddr = { transport: "udp", ...split(server.beaconAddr) };
  {
    using stack = new DisposableStack();
    const gone = open(stack);
    await gone.send(Uint8Array.of(1, 0, 0, 0, 9), to);
    await gone.receive();
  }
  using stack = new DisposableStack();
  const a = open(stack);
  for (let i = 0; i < 20; i++) {
    await a.send(Uint8Array.of(5, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3), to); // to a closed socket
    await a.send(new Uint8Array(0), to);
    await a.send(new Uint8Array(5000).fill(i), to);
  }
  await a.send(Uint8Array.of(1, 0, 0, 0, 1), to);
  assert.equal((await a.receive())[0][0], 2);
});

Deno.test({
  name: "a beacon on all addresses answers, relays and wakes from the one that each node asked",
  ignore: linuxSocketProblem() !== "",
  fn: () =>
    withServer(async ({ server }) => {
      using stack = new DisposableStack();
      const { port } = split(server.beaconAddr);
      const at = (hostname: string): Deno.NetAddr => ({ transport: "udp", hostname, port });
      const [a, b] = [open(stack), open(stack)];
      const [ofA, ofB] = [at("127.0.0.5"), at("127.0.0.9")];
      const discover = async (socket: Deno.DatagramConn, node: number, to: Deno.NetAddr) => {
        await socket.send(Uint8Array.of(1, 0, 0, 0, node), to);
        assert.deepEqual({ ...(await socket.receive())[1] }, to);
      };
      await discover(a, 1, ofA);
      await discover(b, 2, ofB);
      await a.send(Uint8Array.of(5, 0, 0, 0, 1, 0, 0, 0, 2, 7, 7, 7), ofA);
      const [relayed, from] = await b.receive();
      assert.deepEqual([...relayed], [6, 0, 0, 0, 1, 7, 7, 7]);
      assert.deepEqual(
        { ...from },
        ofB,
        "neither from where it came in nor from where the system would",
      );
      await b.send(Uint8Array.of(3, 0, 0, 0, 2, 0, 0, 0, 1), ofB);
      assert.deepEqual({ ...(await b.receive())[1] }, ofB);
      assert.deepEqual({ ...(await a.receive())[1] }, ofA);
    }, { beaconAddr: "0.0.0.0:0", beacon: { udp: "linux" } }),
});
