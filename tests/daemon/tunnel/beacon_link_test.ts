import assert from "node:assert/strict";
import { type BeaconMessage, encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { encodePila, pilaChallenge } from "../../../protocol/tunnel/frame.ts";
import { parseIp } from "../../../protocol/ip.ts";
import { DISCOVER_INTERVAL_MS, PUNCH_RATE } from "../../../daemon/tunnel/beacon_link.ts";
import type { TestNode } from "../harness/node.ts";
import { datagram, texts, World } from "../harness/world.ts";

const STRANGER = { host: "198.51.100.66", port: 9001 };

function punch(host: string, port: number = 4321): Uint8Array {
  return encodeBeacon({ type: "punch_command", ip: parseIp(host), port });
}

/** Where PILPs of a node went. */
function punched(world: World, node: TestNode): string[] {
  return world.frames(({ type, sent }) => type === "pilp" && sent.from.host === node.endpoint.host)
    .map(({ sent }) => sent.to.host);
}

Deno.test("the endpoint is announced at once and every 25 s", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.run(4 * DISCOVER_INTERVAL_MS + 100);
  const times = world.net.log.filter(({ data, from }) =>
    data[0] === 0x01 && from.host === a.endpoint.host
  ).map(({ at }) => at);
  assert.deepEqual(
    times.map((at) => at - times[0]!),
    [0, 1, 2, 3, 4].map((i) => i * DISCOVER_INTERVAL_MS),
  );
  assert.deepEqual(a.observed[0], a.endpoint);
  assert.equal(a.observed.length, 5);
});

Deno.test("announcing again does not announce twice as often", async () => {
  await using world = new World();
  const a = await world.node(5);
  for (let i = 0; i < 3; i++) await a.tunnels.setSelf(5, a.identity);
  await world.run(10);
  world.net.clearLog();
  await world.run(2 * DISCOVER_INTERVAL_MS);
  assert.equal(world.net.log.filter(({ data }) => data[0] === 0x01).length, 2);
});

Deno.test("beacon messages from elsewhere than the beacon are ignored", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  await world.run(1_000);
  const observed = a.observed.length;
  const received = a.received.length;
  const frame = await world.capture(b, a, "relayed");
  world.net.clearLog();
  const messages: BeaconMessage[] = [
    { type: "discover_reply", ip: parseIp("192.0.2.250"), port: 1 },
    { type: "punch_command", ip: parseIp("192.0.2.251"), port: 1 },
    { type: "relay_deliver", sender: 7, frame },
    { type: "relay_deliver_dest", sender: 7, dest: 5, frame },
  ];
  const port = world.beacon!.socket.local.port + 1;
  for (const from of [STRANGER, { ...world.beacon!.socket.local, port }]) {
    for (const message of messages) world.net.inject(encodeBeacon(message), from, a.endpoint);
  }
  await world.run(1_000);
  assert.equal(a.observed.length, observed);
  assert.equal(a.received.length, received);
  assert.deepEqual(punched(world, a), []);
  // The same from the beacon has its effect.
  for (const message of messages) world.beacon!.send(encodeBeacon(message), a.endpoint);
  await world.run(1_000);
  assert.equal(a.observed.length, observed + 1);
  assert.equal(a.received.length, received + 1);
  assert.equal(punched(world, a).length, 3);
  assert.deepEqual(texts(a), ["relayed"]);
});

Deno.test("a relayed frame for another node is ignored", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const received = a.received.length;
  const frame = await world.capture(b, a, "not mine");
  const message = encodeBeacon({ type: "relay_deliver_dest", sender: 7, dest: 9, frame });
  world.beacon!.send(message, a.endpoint);
  await world.run(10);
  assert.equal(a.received.length, received);
});

Deno.test("a punch command causes frames at 0, 50 and 150 ms", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.run(20);
  world.beacon!.send(punch("192.0.2.50"), a.endpoint);
  await world.run(5);
  const start = world.clock.now();
  await world.run(1_000);
  const times = world.frames(({ type }) => type === "pilp").map(({ sent }) => sent.at - start);
  assert.deepEqual(times, [0, 50, 150]);
});

Deno.test("punch commands are acted upon at a limited rate", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.run(20);
  for (let i = 0; i < 200; i++) {
    world.beacon!.send(punch("192.0.2.50", 1 + i), a.endpoint);
    await world.run(5);
  }
  const commands = new Set(
    world.frames(({ type }) => type === "pilp").map(({ sent }) => sent.to.port),
  );
  assert.ok(commands.size >= PUNCH_RATE.burst, `${commands.size}`);
  assert.ok(commands.size <= PUNCH_RATE.burst + PUNCH_RATE.perSecond + 1, `${commands.size}`);
});

Deno.test("nobody makes us send to groups, to nowhere or, from a public beacon, into private networks", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.run(20);
  const hosts = [
    "0.0.0.0",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "10.1.2.3",
    "192.168.1.1",
    "172.16.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "::",
    "::1",
    "ff02::1",
    "fe80::1",
    "fd00::1",
  ];
  for (const host of hosts) {
    world.beacon!.send(punch(host), a.endpoint);
    await world.run(1_000);
  }
  world.beacon!.send(punch("192.0.2.50", 0), a.endpoint);
  await world.run(1_000);
  // IPv4 as IPv6 writes it.
  const mapped = Uint8Array.of(4, 16, ...new Uint8Array(10), 0xff, 0xff, 224, 0, 0, 1, 0x0f, 0xa0);
  world.beacon!.send(mapped, a.endpoint);
  await world.run(1_000);
  assert.deepEqual(punched(world, a), []);
});

Deno.test("a private beacon may name private endpoints, but no groups", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5, { endpoint: { host: "10.0.0.5", port: 4000 } });
  const beacon = { host: "10.0.0.1", port: 9001 };
  a.tunnels.beacon.setEndpoint(beacon);
  for (const host of ["10.1.2.3", "127.0.0.1", "224.0.0.1", "0.0.0.0"]) {
    world.net.inject(punch(host), beacon, a.endpoint);
    await world.run(1_000);
  }
  assert.deepEqual([...new Set(punched(world, a))], ["10.1.2.3", "127.0.0.1"]);
});

Deno.test("a punch command for the peer being dialled is met with a PILA", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  world.beacon!.isPunching = false;
  world.net.drop = ({ to, from }) => to.host === b.endpoint.host || from.host === b.endpoint.host;
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "x"));
  await world.run(50);
  const before = world.between("pila", a, b).length;
  world.beacon!.send(punch(b.endpoint.host, b.endpoint.port), a.endpoint);
  await world.run(10);
  assert.equal(world.between("pila", a, b).length, before + 1);
  world.beacon!.send(punch("192.0.2.99", 4000), a.endpoint);
  await world.run(10);
  const toOthers = world.frames(({ type, sent }) =>
    type === "pila" && sent.to.host === "192.0.2.99"
  );
  assert.deepEqual(toOthers, [], "others get punches only");
});

Deno.test("a PILA through the beacon is answered through the beacon", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  const pila = encodePila({
    sender: 7,
    x25519: b.keyPair.publicKey,
    ed25519: b.identity.publicKey,
    signature: await b.identity.sign(
      pilaChallenge(7, b.keyPair.publicKey),
    ),
    request: true,
  });
  world.net.clearLog();
  world.beacon!.send(
    encodeBeacon({ type: "relay_deliver", sender: 7, frame: pila }),
    a.endpoint,
  );
  await world.run(10);
  const answers = world.frames(({ type, sent }) =>
    type === "pila" && sent.from.host === a.endpoint.host
  );
  assert.deepEqual(answers.map(({ isRelayed }) => isRelayed), [true]);
});
