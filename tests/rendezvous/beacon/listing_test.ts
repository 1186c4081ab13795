/** Beacons in processes of their own that find each other, and the registry's inbox that wakes. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { challenges } from "../support/challenges.ts";
import {
  DISCOVER_WAKE,
  discoverChallenge,
  encodeBeacon,
} from "../../../protocol/beacon/beacon_message.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { RemoteBeaconListing } from "../../../rendezvous/beacon/listing.ts";
import { ClusterToken } from "../../../rendezvous/cluster_token.ts";
import { RawClient, registered, split, type TestNode } from "../support/client.ts";
import { configureLog, resetLog } from "../../../platform/log.ts";
import type { BeaconSettings, Rendezvous, RendezvousOptions } from "../../../rendezvous/mod.ts";
import { start, withDirectory, withServer } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { connectChecked, testCertificate, writePair } from "../support/tls.ts";
import { systemClock } from "../../../platform/system_clock.ts";

/** A socket on loopback that is closed with the stack. */
function open(stack: DisposableStack): Deno.DatagramConn {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  return stack.adopt(socket, () => socket.close());
}

function target(addr: string): Deno.NetAddr {
  return { transport: "udp", ...split(addr) };
}

const NONCE = new Uint8Array(16).fill(8);

/** Proves the endpoint of a socket. */
async function prove(socket: Deno.DatagramConn, node: TestNode, to: Deno.NetAddr): Promise<void> {
  const fields = { node: node.id, flags: DISCOVER_WAKE, nonce: NONCE };
  await socket.send(
    encodeBeacon({
      type: "discover_auth",
      ...fields,
      cookie: new Uint8Array(16),
      signature: undefined,
    }),
    to,
  );
  const [answer] = await socket.receive();
  assert.equal(answer[0], 0x0e);
  const cookie = answer.slice(18);
  const signature = await node.identity.sign(discoverChallenge({ ...fields, cookie }));
  await socket.send(encodeBeacon({ type: "discover_auth", ...fields, cookie, signature }), to);
  const [proven] = await socket.receive();
  assert.deepEqual([proven[0], proven[1]], [0x0e, 1]);
}

Deno.test("a handshake request and its answer wake their nodes, until they poll", () =>
  withServer(async ({ server, client }) => {
    using stack = new DisposableStack();
    const to = target(server.beaconAddr);
    const asking = await registered(client);
    const asked = await registered(client);
    const socket = open(stack);
    await prove(socket, asked, to);
    await client.ok({
      type: "request_handshake",
      from_node_id: asking.id,
      to_node_id: asked.id,
      justification: "hello",
      signature: await asking.sign(challenges.handshake(asking.id, asked.id)),
    });
    const [wake] = await socket.receive();
    assert.deepEqual([wake[0], wake.slice(1, 17)], [0x0f, NONCE]);
    const poll = async (node: TestNode) =>
      await client.ok({
        type: "poll_handshakes",
        node_id: node.id,
        signature: await node.sign(challenges.pollHandshakes(node.id)),
      });
    assert.equal(((await poll(asked))["requests"] as unknown[]).length, 1);
    const own = open(stack);
    await prove(own, asking, to);
    await client.ok({
      type: "respond_handshake",
      node_id: asked.id,
      peer_id: asking.id,
      accept: true,
      signature: await asked.sign(challenges.respondHandshake(asked.id, asking.id)),
    });
    assert.equal((await own.receive())[0][0], 0x0f);
    assert.equal(((await poll(asking))["responses"] as unknown[]).length, 1);
  }));

Deno.test("a wake is repeated to a node that does not poll", async () => {
  await using server = await start();
  using client = await RawClient.open(server.registryAddr);
  using stack = new DisposableStack();
  const asking = await registered(client);
  const asked = await registered(client);
  const socket = open(stack);
  await prove(socket, asked, target(server.beaconAddr));
  await client.ok({
    type: "request_handshake",
    from_node_id: asking.id,
    to_node_id: asked.id,
    signature: await asking.sign(challenges.handshake(asking.id, asked.id)),
  });
  const [first] = await socket.receive();
  const copy = Buffer.from(first);
  const [second] = await socket.receive();
  assert.deepEqual(Buffer.from(second), copy);
});

/** Two beacons with clocks of their own; lets both do what is due every ten seconds. */
interface Two {
  readonly servers: readonly [Rendezvous, Rendezvous];
  readonly clocks: readonly [ManualClock, ManualClock];
}

/** What reaches node 2 at the second beacon when node 1 relays to it through the first. */
async function relayed({ servers, clocks }: Two): Promise<Uint8Array> {
  using sockets = new DisposableStack();
  const [from, to] = [open(sockets), open(sockets)];
  await to.send(Uint8Array.of(1, 0, 0, 0, 2), target(servers[1].beaconAddr));
  await to.receive();
  let isThere = false;
  const arrived = to.receive().then(([bytes]) => {
    isThere = true;
    return bytes;
  });
  for (let i = 0; i < 200 && !isThere; i++) {
    for (const clock of clocks) clock.advance(10_000);
    for (const server of servers) await server.tick();
    const via = target(servers[0].beaconAddr);
    await from.send(Uint8Array.of(5, 0, 0, 0, 1, 0, 0, 0, 2, 104, 105), via);
    // Finding peers takes turns of the event loop and answers of another socket, which nothing here announces.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(isThere, "it arrives");
  return await arrived;
}

Deno.test("beacons that are configured as peers relay for each other's nodes", async () => {
  using stack = new DisposableStack();
  // Both must know the other's port before they start.
  const ports = [open(stack), open(stack)].map(({ addr }) => (addr as Deno.NetAddr).port);
  stack.dispose();
  const [one, two] = ports.map((port) => `127.0.0.1:${port}`) as [string, string];
  const clocks = [new ManualClock(), new ManualClock()] as const;
  await using first = await start({
    clock: clocks[0],
    beaconAddr: one,
    beacon: { peers: [two] },
  });
  await using second = await start({
    clock: clocks[1],
    beaconAddr: two,
    beacon: { peers: [one] },
  });
  const bytes = await relayed({ servers: [first, second], clocks });
  assert.deepEqual([...bytes], [6, 0, 0, 0, 1, 104, 105]);
});

/** Two beacons that know one registry; what a client sees listed, and what they relay. */
async function findEachOther(
  options: Partial<RendezvousOptions>,
  open: (registry: string) => Promise<RawClient>,
  token?: string,
): Promise<void> {
  const clocks = [new ManualClock(), new ManualClock()] as const;
  await using first = await start({ ...options, clock: clocks[0], beacon: { id: 1, token } });
  const { registryAddr: registry, facts: { tlsFingerprint } } = first;
  const registryFingerprint = options.tlsOnly === true ? tlsFingerprint : undefined;
  await using second = await start({
    clock: clocks[1],
    beacon: { id: 2, registry, registryFingerprint, token },
  });
  using client = await open(first.registryAddr);
  const deadline = performance.now() + 10_000;
  let listed: unknown[] = [];
  while (listed.length < 2 && performance.now() < deadline) {
    listed = (await client.ok({ type: "beacon_list" }))["beacons"] as unknown[];
  }
  assert.deepEqual(listed, [
    { id: 1, addr: first.beaconAddr },
    { id: 2, addr: second.beaconAddr },
  ]);
  const bytes = await relayed({ servers: [first, second], clocks });
  assert.deepEqual([...bytes], [6, 0, 0, 0, 1, 104, 105]);
}

Deno.test("beacons find each other through a registry", () => findEachOther({}, RawClient.open));

Deno.test("beacons find each other through a registry that asks for their token", () =>
  findEachOther({}, RawClient.open, "a token of thirty characters.."));

Deno.test("RemoteBeaconListing is refused without the token of the cluster, and says what to do", async () => {
  const token = "a token of thirty characters..";
  await using server = await start({ beacon: { token } });
  const { registryAddr: registry } = server;
  const exchange = (token?: ClusterToken) =>
    new RemoteBeaconListing({ clock: systemClock, registry, token })
      .exchange(7, { host: "192.0.2.1", port: 9001 }, new AbortController().signal);
  const refused = {
    code: "denied",
    message: /token is required/,
    advice: { id: "give_beacon_token" },
  };
  await assert.rejects(exchange(), refused);
  await assert.rejects(exchange(new ClusterToken("another token, long enough")), refused);
  assert.deepEqual(await exchange(new ClusterToken(token)), [{ id: 7, addr: "192.0.2.1:9001" }]);
  // A registry that does not ask takes it as well.
  await using open = await start();
  const listing = new RemoteBeaconListing({
    clock: systemClock,
    registry: open.registryAddr,
    token: new ClusterToken(token),
  });
  const own = { host: "192.0.2.1", port: 9001 };
  assert.equal((await listing.exchange(7, own, new AbortController().signal)).length, 1);
  await assert.rejects(start({ beacon: { token: "too short" } }), { code: "invalid_argument" });
});

Deno.test("beacons find each other through a registry that speaks TLS", () =>
  withDirectory(async (directory) => {
    const pair = testCertificate();
    const tls = await writePair(directory, pair);
    await findEachOther(
      { tls, tlsOnly: true },
      async (registry) => new RawClient(await connectChecked(registry, pair.cert)),
    );
  }));

Deno.test("RemoteBeaconListing tells nothing to a registry that presents another certificate", () =>
  withDirectory(async (directory) => {
    const [shown, pinned] = [testCertificate(), testCertificate()];
    await using server = await start({ tls: await writePair(directory, shown), tlsOnly: true });
    const { registryAddr: registry } = server;
    const exchange = (fingerprint: string | undefined, registry: string) => {
      const listing = new RemoteBeaconListing({ clock: systemClock, registry, fingerprint });
      return listing.exchange(7, { host: "0.0.0.0", port: 9001 }, new AbortController().signal);
    };
    await assert.rejects(exchange(pinned.fingerprint, registry), {
      code: "untrusted",
      message: new RegExp(`${shown.fingerprint}, not ${pinned.fingerprint}`),
      advice: { id: "compare_certificate", setting: "beaconRegistryFingerprint" },
    });
    await assert.rejects(exchange(undefined, registry), {
      code: "protocol_error",
      message: /before its answer/,
      advice: { id: "pin_listing" },
    });
    await using plain = await start({ tls: "none" });
    await assert.rejects(exchange(pinned.fingerprint, plain.registryAddr), {
      code: "unavailable",
      advice: { id: "check_tls", setting: "beaconRegistryFingerprint" },
    });
    using client = new RawClient(await connectChecked(registry, shown.cert));
    assert.deepEqual((await client.ok({ type: "beacon_list" }))["beacons"], []);
    const own = { id: 7, addr: "127.0.0.1:9001" };
    assert.deepEqual(await exchange(shown.fingerprint, registry), [own]);
  }));

Deno.test("RemoteBeaconListing can be ended while the registry does not finish its TLS", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const registry = `127.0.0.1:${listener.addr.port}`;
  const { fingerprint } = testCertificate();
  const listing = new RemoteBeaconListing({ clock: systemClock, registry, fingerprint });
  const ending = new AbortController();
  const stuck = listing.exchange(1, { host: "0.0.0.0", port: 9001 }, ending.signal);
  using conn = await listener.accept();
  await conn.read(new Uint8Array(1_000));
  ending.abort();
  await assert.rejects(stuck);
});

Deno.test("RemoteBeaconListing names what is wrong and leaves nothing behind", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const listing = new RemoteBeaconListing({ clock: systemClock, registry: `127.0.0.1:${port}` });
  const own = { host: "0.0.0.0", port: 9001 };
  const never = new AbortController();
  const answerWith = async (bytes: Uint8Array) => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1_000));
    await conn.write(bytes);
  };
  const frame = (text: string) => {
    const body = new TextEncoder().encode(text);
    return Uint8Array.of(0, 0, body.length >> 8, body.length & 0xff, ...body);
  };
  const broken: [Uint8Array, RegExp][] = [
    [frame('{"type":"error","error":"too many beacons"}'), /too many beacons/],
    [frame("[1]"), /broken/],
    [Uint8Array.of(0xff, 0xff, 0xff, 0xff), /broken/],
    [Uint8Array.of(0x15, 3, 3, 0, 2, 2, 50), /speaks TLS/],
    [Uint8Array.of(0, 0), /before its answer was complete/],
  ];
  for (const [bytes, message] of broken) {
    const [result] = await Promise.allSettled([
      listing.exchange(1, own, never.signal),
      answerWith(bytes),
    ]);
    assert.ok(result.status === "rejected" && result.reason instanceof PilotError);
    assert.match(result.reason.message, message);
  }
  const ending = new AbortController();
  const stuck = listing.exchange(1, own, ending.signal);
  using _conn = await listener.accept();
  ending.abort();
  await assert.rejects(stuck);
});

Deno.test("a beacon warns of a plain registry elsewhere, and of no other", async () => {
  const warned = async (beacon: BeaconSettings) => {
    const lines: string[] = [];
    configureLog({ level: "warn", write: (line) => lines.push(line) });
    try {
      await (await start({ beacon: { id: 2, ...beacon } })).close();
    } finally {
      resetLog();
    }
    return lines.filter((line) => line.includes("plain TCP")).length;
  };
  const registry = "registry.invalid:9000";
  assert.equal(await warned({ registry }), 1);
  assert.equal(await warned({ registry, registryFingerprint: "ab".repeat(32) }), 0);
  assert.equal(await warned({ registry: "127.0.0.1:9" }), 0);
  assert.equal(await warned({}), 0);
});

Deno.test("settings of the beacon that make no sense are refused", async () => {
  for (
    const beacon of [
      { id: 0 },
      { id: 1.5 },
      { registry: "127.0.0.1:9000" },
      { registryFingerprint: "0".repeat(64) },
      { id: 1, registry: "127.0.0.1:9000", registryFingerprint: "" },
      { id: 1, registry: "127.0.0.1:9000", registryFingerprint: "0".repeat(63) },
      { peers: ["nowhere"] },
      { relayBytesPerSecond: 0 },
    ]
  ) {
    await assert.rejects(
      start({ beacon }),
      (error: unknown) => error instanceof PilotError && error.code === "invalid_argument",
    );
  }
});
