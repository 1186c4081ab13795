import assert from "node:assert/strict";
import { PilotError } from "../../protocol/errors.ts";
import {
  AWAIT_TRUST,
  Cmd,
  encodeConn,
  encodeIpcError,
  LEAVE_NETWORK,
  PING,
  REQUEST_TRUST,
} from "../../protocol/ipc/mod.ts";
import type { Driver } from "../../sdk/mod.ts";
import { FakeDaemon } from "./fake_daemon.ts";
import { bytes, isPending, MODES, rejectsWith, text } from "./support.ts";

interface Case {
  name: string;
  call: (driver: Driver) => Promise<unknown>;
  cmd: number;
  payload: Uint8Array;
  reply: unknown;
  result?: unknown;
}

const u32 = encodeConn;
const join = (...parts: (number | Uint8Array)[]) =>
  Uint8Array.from(
    parts.flatMap((part) => typeof part === "number" ? [part] : [...part]),
  );

const CASES: readonly Case[] = [
  {
    name: "info",
    call: (driver) => driver.info(),
    cmd: Cmd.Info,
    payload: join(),
    reply: { node_id: 7, extra: [1] },
  },
  {
    name: "health",
    call: (driver) => driver.health(),
    cmd: Cmd.Health,
    payload: join(),
    reply: { status: "ok" },
  },
  {
    name: "address",
    call: (driver) => driver.address(),
    cmd: Cmd.Info,
    payload: join(),
    reply: { node_id: 7, address: "0:0000.0000.0007" },
    result: { network: 0, node: 7 },
  },
  {
    name: "resolveHostname",
    call: (driver) => driver.registry.resolve("alice"),
    cmd: Cmd.ResolveHostname,
    payload: bytes("alice"),
    reply: { node_id: 7, address: "0:0000.0000.0007" },
  },
  {
    name: "handshake",
    call: (driver) => driver.trust.request(7, "why not"),
    cmd: Cmd.Handshake,
    payload: join(1, u32(7), bytes("why not")),
    reply: { status: "sent", node_id: 7 },
  },
  {
    name: "approveHandshake",
    call: (driver) => driver.trust.approve(7),
    cmd: Cmd.Handshake,
    payload: join(2, u32(7)),
    reply: { status: "approved", node_id: 7 },
  },
  {
    name: "rejectHandshake",
    call: (driver) => driver.trust.reject(7, "no"),
    cmd: Cmd.Handshake,
    payload: join(3, u32(7), bytes("no")),
    reply: { status: "rejected", node_id: 7 },
  },
  {
    name: "pendingHandshakes",
    call: (driver) => driver.trust.pending(),
    cmd: Cmd.Handshake,
    payload: join(4),
    reply: { pending: [{ node_id: 1 }] },
    result: [{ node_id: 1 }],
  },
  {
    name: "pendingHandshakes of an old daemon",
    call: (driver) => driver.trust.pending(),
    cmd: Cmd.Handshake,
    payload: join(4),
    reply: { pending: null },
    result: [],
  },
  {
    name: "openHandshakes",
    call: (driver) => driver.trust.open(),
    cmd: Cmd.Handshake,
    payload: join(4),
    reply: { pending: [], outgoing: [{ node_id: 2 }], refused: [{ node_id: 3, reason: "no" }] },
    result: { pending: [], outgoing: [{ node_id: 2 }], refused: [{ node_id: 3, reason: "no" }] },
  },
  {
    name: "trustedPeers",
    call: (driver) => driver.trust.peers(),
    cmd: Cmd.Handshake,
    payload: join(5),
    reply: { trusted: [{ node_id: 1 }] },
    result: [{ node_id: 1 }],
  },
  {
    name: "revokeTrust",
    call: (driver) => driver.trust.revoke(7),
    cmd: Cmd.Handshake,
    payload: join(6, u32(7)),
    reply: { status: "revoked", node_id: 7 },
  },
  {
    name: "setHostname",
    call: (driver) => driver.registry.setHostname("bob"),
    cmd: Cmd.SetHostname,
    payload: bytes("bob"),
    reply: { hostname: "bob" },
  },
  {
    name: "setTags",
    call: (driver) => driver.registry.setTags(["a", "b"]),
    cmd: Cmd.SetTags,
    payload: bytes('["a","b"]'),
    reply: { tags: ["a", "b"] },
  },
  {
    name: "setVisibility",
    call: (driver) => driver.registry.setVisibility(true),
    cmd: Cmd.SetVisibility,
    payload: join(1),
    reply: { visibility: "public" },
  },
  {
    name: "deregister",
    call: (driver) => driver.registry.deregister(),
    cmd: Cmd.Deregister,
    payload: join(),
    reply: {},
  },
  {
    name: "networks.list",
    call: (driver) => driver.networks.list(),
    cmd: Cmd.Network,
    payload: join(1),
    reply: { networks: [{ id: 7, name: "lab", members: 2, join_rule: "open" }] },
    // What an older registry leaves out has the value that it means.
    result: [
      { id: 7, name: "lab", members: 2, join_rule: "open", enterprise: false, created: 0 },
    ],
  },
  {
    name: "networks.join",
    call: (driver) => driver.networks.join(3, "secret"),
    cmd: Cmd.Network,
    payload: join(2, 0, 3, bytes("secret")),
    reply: { network_id: 3, address: "3:0003.0000.0005" },
  },
  {
    name: "networks.leave",
    call: (driver) => driver.networks.leave(3),
    cmd: Cmd.Network,
    payload: join(3, 0, 3),
    reply: { network_id: 3 },
  },
  {
    name: "networks.members",
    call: (driver) => driver.networks.members(3),
    cmd: Cmd.Network,
    payload: join(4, 0, 3),
    reply: { nodes: null },
    result: [],
  },
  {
    name: "networks.invite",
    call: (driver) => driver.networks.invite(3, 9),
    cmd: Cmd.Network,
    payload: join(5, 0, 3, u32(9)),
    reply: { network_id: 3, target_node_id: 9, status: "pending" },
  },
  {
    name: "networks.invites",
    call: (driver) => driver.networks.invites(),
    cmd: Cmd.Network,
    payload: join(6),
    reply: { invites: [{ network_id: 3, inviter_id: 9, timestamp: 1 }] },
    result: [{ network_id: 3, inviter_id: 9, timestamp: 1 }],
  },
  {
    name: "networks.respond",
    call: (driver) => driver.networks.respond(3, true),
    cmd: Cmd.Network,
    payload: join(7, 0, 3, 1),
    reply: { network_id: 3, accepted: true },
  },
];

for (const mode of MODES) {
  for (const { name, call, cmd, payload, reply, result } of CASES) {
    Deno.test(`Driver.${name} asks the daemon (${mode})`, async () => {
      await using daemon = new FakeDaemon(mode);
      const { driver, client } = await daemon.connect();
      const asking = call(driver);
      const request = await client.expect(cmd);
      assert.deepEqual(request.payload, payload);
      client.answerJson(request, reply);
      assert.deepEqual(await asking, result ?? reply);

      const failing = call(driver);
      client.fail(
        await client.expect(cmd),
        new PilotError("not_found", "thing: node not found"),
      );
      await rejectsWith(failing, "not_found", /not found/);
    });
  }
}

Deno.test("Driver has no request that names an impossible node or network", async () => {
  await using daemon = new FakeDaemon();
  const { driver } = await daemon.connect();
  for (const node of [0, -1, 1.5, NaN, 2 ** 32 - 1, 2 ** 32]) {
    for (
      const call of [
        async () => await driver.trust.approve(node),
        async () => await driver.trust.reject(node),
        async () => await driver.trust.revoke(node),
        async () => await driver.trust.waitFor(node),
        async () => await driver.registry.lookup(node),
        async () => await driver.trust.request(node),
        async () => await driver.networks.invite(1, node),
      ]
    ) await rejectsWith(call(), "invalid_argument");
  }
  await rejectsWith(
    (async () => await driver.networks.join(65_536))(),
    "invalid_argument",
  );
});

Deno.test("Driver.address says invalid_state before the first registration", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const asking = driver.address();
  client.answerJson(await client.expect(Cmd.Info), { node_id: 0, address: "" });
  await rejectsWith(asking, "invalid_state");
});

Deno.test("Driver says protocol_error to an answer that is no JSON object", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  for (const answer of ["[1]", "null", "7", "{", "\xff"]) {
    const asking = driver.info();
    client.answer(
      await client.expect(Cmd.Info),
      Cmd.InfoOk,
      Uint8Array.from(answer, (char) => char.charCodeAt(0)),
    );
    await rejectsWith(asking, "protocol_error");
  }
  const asking = driver.info();
  client.answer(await client.expect(Cmd.Info), Cmd.HealthOk, bytes("{}"));
  await rejectsWith(asking, "protocol_error", /0x22/);
});

Deno.test("Driver.resolveTarget resolves only hostnames", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const address = { network: 2, node: 5 };
  assert.equal(await driver.resolveTarget(address), address);
  assert.deepEqual(await driver.resolveTarget("2:0002.0000.0005"), address);
  assert.deepEqual(await driver.resolveTarget(" 5 "), { network: 0, node: 5 });
  const asking = driver.resolveTarget("alice");
  client.answerJson(await client.expect(Cmd.ResolveHostname), {
    address: "2:0002.0000.0005",
  });
  assert.deepEqual(await asking, address);
  await rejectsWith(driver.resolveTarget(""), "invalid_argument");
});

Deno.test("Driver.ping passes target and limit to the daemon", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const pinging = driver.ping("5", { timeoutMs: 1500 });
  const request = await client.expect(Cmd.Ping);
  assert.deepEqual(PING.decode(request.payload), {
    address: { network: 0, node: 5 },
    timeoutMs: 1500,
  });
  client.answerJson(request, { rtt_ms: 1.25, relayed: true });
  assert.deepEqual(await pinging, { rtt_ms: 1.25, relayed: true });
});

Deno.test("Driver.handshake finds private nodes by hostname", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const asking = driver.trust.request("alice", "hello");
  const find = await client.expect(Cmd.HandshakeTarget);
  assert.equal(text(find.payload), "alice");
  client.answerJson(find, { node_id: 9, address: "0:0000.0000.0009" });
  const request = await client.expect(Cmd.Handshake);
  assert.equal(request.payload[0], REQUEST_TRUST.sub);
  assert.deepEqual(REQUEST_TRUST.decode(request.payload), { node: 9, text: "hello" });
  client.answerJson(request, { status: "sent", node_id: 9 });
  assert.equal((await asking).node_id, 9);
});

Deno.test("Driver uses what an old daemon has, and says what it has not", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  await rejectsWith(driver.registry.lookup(5), "unavailable");
  const asking = driver.registry.handshakeTarget("alice");
  client.answerJson(await client.expect(Cmd.ResolveHostname), { node_id: 4 });
  assert.equal((await asking).node_id, 4);
});

Deno.test("Driver.ping times the echo service where the daemon has no ping", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const pinging = driver.ping(5);
  const stream = await client.acceptDial(1);
  const sent = await stream.read(8);
  stream.write(sent.subarray(0, 3));
  stream.write(sent.subarray(3));
  const peer = { node_id: 5, relay: true };
  client.answerJson(await client.expect(Cmd.Info), { node_id: 1, peer_list: [peer] });
  const { rtt_ms, relayed } = await pinging;
  assert.ok(rtt_ms > 0);
  assert.equal(relayed, true);
  const refused = driver.ping(6);
  (await client.acceptDial(2)).end();
  await rejectsWith(refused, "connection_closed");
});

Deno.test("Driver.waitForTrust asks again until the node is trusted", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const waiting = driver.trust.waitFor(5, { timeoutMs: 100_000 });
  for (const trusted of [false, false, true]) {
    const request = await client.expect(Cmd.Handshake);
    assert.equal(request.payload[0], AWAIT_TRUST.sub);
    assert.deepEqual(AWAIT_TRUST.decode(request.payload), { node: 5, timeoutMs: 30_000 });
    assert.ok(await isPending(waiting));
    client.answerJson(request, { node_id: 5, trusted });
  }
  await waiting;
});

Deno.test("Driver.waitForTrust ends with timeout or aborted", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const impatient = driver.trust.waitFor(5, { timeoutMs: 0 });
  client.answerJson(await client.expect(Cmd.Handshake), { trusted: false });
  await rejectsWith(impatient, "timeout", /trust of node 5/);
  const controller = new AbortController();
  const waiting = driver.trust.waitFor(5, { signal: controller.signal });
  await client.expect(Cmd.Handshake);
  controller.abort();
  await rejectsWith(waiting, "aborted");
  await client.expect(Cmd.CancelTag);
});

Deno.test("Driver.waitForTrust looks for itself with a daemon that cannot wait", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const waiting = driver.trust.waitFor(5);
  for (const trusted of [[], [{ node_id: 5 }]]) {
    const request = await client.expect(Cmd.Handshake);
    assert.equal(request.payload[0], 7);
    client.push(
      Cmd.Error,
      encodeIpcError("handshake: unknown sub-command 0x07"),
    );
    client.answerJson(await client.expect(Cmd.Handshake), { trusted });
  }
  await waiting;
});

Deno.test("Driver keeps network numbers of two bytes apart", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const leaving = driver.networks.leave(0x1234);
  const request = await client.expect(Cmd.Network);
  assert.equal(request.payload[0], LEAVE_NETWORK.sub);
  assert.deepEqual(LEAVE_NETWORK.decode(request.payload), { network: 0x1234 });
  client.answerJson(request, {});
  await leaving;
});
