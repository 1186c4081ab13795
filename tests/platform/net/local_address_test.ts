/** A machine with several addresses: what is answered leaves from the one that was asked. Loopback has many. */

import assert from "node:assert/strict";
import { loadLibc } from "../../../platform/net/linux/libc.ts";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { LinuxUdpSocket } from "../../../platform/net/linux/batch_socket.ts";
import type { Endpoint } from "../../../protocol/ip.ts";

const ASKED = ["127.0.0.5", "127.0.0.9"];
/** Of no interface (RFC 5737). */
const FOREIGN = "192.0.2.77";

function send(socket: LinuxUdpSocket, size: number, to: Endpoint, count = 1): void {
  for (let i = 0; i < count; i++) socket.send(socket.acquire(size).fill(i, 0, size), size, to);
}

/** What one socket gets. */
class Inbox {
  readonly got: { readonly bytes: number; readonly from: Endpoint }[] = [];
  #arrived = () => {};

  constructor(socket: LinuxUdpSocket, onDatagram: (from: Endpoint) => void = () => {}) {
    socket.start((data, from) => {
      this.got.push({ bytes: data.length, from });
      onDatagram(from);
      this.#arrived();
    });
  }

  async take(count: number): Promise<{ readonly bytes: number; readonly from: Endpoint }[]> {
    while (this.got.length < count) await new Promise<void>((resolve) => this.#arrived = resolve);
    return this.got.splice(0, count);
  }
}

/** A socket with all addresses, and one that asks it. */
function addressTest(
  name: string,
  fn: (server: LinuxUdpSocket, client: LinuxUdpSocket) => Promise<void>,
): void {
  for (const host of ["0.0.0.0", "::"]) {
    Deno.test({
      name: `LinuxUdpSocket on ${host} ${name}`,
      ignore: linuxSocketProblem() !== "",
      async fn() {
        const server = LinuxUdpSocket.bind(loadLibc(), host, 0);
        const client = LinuxUdpSocket.bind(loadLibc(), "127.0.0.1", 0);
        try {
          await fn(server, client);
        } finally {
          await Promise.all([server.close(), client.close()]);
        }
      },
    });
  }
}

addressTest("answers from the address that was asked", async (server, client) => {
  const { port } = server.local;
  new Inbox(server, (from) => send(server, 7, from));
  const inbox = new Inbox(client);
  for (const host of [...ASKED, ...ASKED]) {
    send(client, 5, { host, port });
    assert.deepEqual(await inbox.take(1), [{ bytes: 7, from: { host, port } }]);
  }
});

addressTest(
  "tells which address was asked, also of what arrives in one",
  async (server, client) => {
    const { port } = server.local;
    const inbox = new Inbox(server);
    for (const host of ASKED) send(client, 900, { host, port }, 40);
    const got = await inbox.take(80);
    assert.deepEqual(got.map(({ from }) => from.local), [
      ...new Array(40).fill(ASKED[0]),
      ...new Array(40).fill(ASKED[1]),
    ]);
    for (const { bytes, from } of got) {
      assert.deepEqual([bytes, from.host, from.port], [900, "127.0.0.1", client.local.port]);
    }
  },
);

addressTest("sends many from it at once, and to others as before", async (server, client) => {
  const { port } = server.local;
  const { host } = client.local;
  const inbox = new Inbox(client);
  const [first, second] = ASKED.map((local) => ({ host, port: client.local.port, local }));
  send(server, 900, first!, 40);
  send(server, 900, second!, 40);
  send(server, 900, client.local, 3);
  send(server, 300, first!);
  send(server, 50, client.local);
  const got = await inbox.take(85);
  assert.deepEqual(got.map(({ from }) => from.host), [
    ...new Array(40).fill(ASKED[0]),
    ...new Array(40).fill(ASKED[1]),
    ...["127.0.0.1", "127.0.0.1", "127.0.0.1", ASKED[0], "127.0.0.1"],
  ]);
  assert.ok(got.every(({ from }) => from.port === port));
  // Two GSO messages, and the others, in one call.
  assert.equal(server.stats.sendCalls, 1);
});

addressTest(
  "lets the system choose when the address is not ours any more",
  async (server, client) => {
    const inbox = new Inbox(client);
    const { host, port } = client.local;
    const gone = { host, port, local: FOREIGN };
    send(server, 900, gone, 20);
    send(server, 100, gone);
    send(server, 20, { host, port, local: ASKED[0]! });
    const got = await inbox.take(22);
    assert.deepEqual(
      new Set(got.slice(0, 21).map(({ from }) => from.host)),
      new Set(["127.0.0.1"]),
    );
    assert.equal(got[21]!.from.host, ASKED[0]);
    assert.deepEqual(server.stats.errors, {});
    assert.equal(server.stats.dropped, 0);
    assert.equal(server.stats.sent, 22);
    const { sendCalls } = server.stats;
    send(server, 900, gone, 20);
    await inbox.take(20);
    assert.equal(server.stats.sendCalls, sendCalls + 1, "and does not try again");
  },
);

Deno.test({
  name: "LinuxUdpSocket on one address reports no local address",
  ignore: linuxSocketProblem() !== "",
  async fn() {
    const server = LinuxUdpSocket.bind(loadLibc(), ASKED[0]!, 0);
    const client = LinuxUdpSocket.bind(loadLibc(), "127.0.0.1", 0);
    const inbox = new Inbox(server);
    send(client, 5, server.local);
    assert.deepEqual((await inbox.take(1))[0]!.from, client.local);
    await Promise.all([server.close(), client.close()]);
  },
});
