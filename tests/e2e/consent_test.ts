/** Nobody in without consent: strangers, liars, the revoked and the kicked, with real daemons and real sockets. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Identity } from "../../protocol/crypto/mod.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import type { Daemon } from "../../daemon/daemon.ts";
import { connect } from "../../mod.ts";
import { Rendezvous, type RendezvousOptions } from "../../rendezvous/mod.ts";
import { RegistryServer } from "../daemon/harness/registry_server.ts";
import { RawClient, TestNode } from "../rendezvous/support/client.ts";
import { WHOLE_BY } from "../rendezvous/support/whole.ts";
import { startDaemon } from "./in_process.ts";

const ADMIN = "the admin token of this test";
const ECHO = 7;

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pilot-consent-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function startRendezvous(options: Partial<RendezvousOptions> = {}): Promise<Rendezvous> {
  return Rendezvous.start({
    registryAddr: "127.0.0.1:0",
    beaconAddr: "127.0.0.1:0",
    store: undefined,
    ...options,
  });
}

/** Resolves when a condition holds that something outside makes true. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!await condition()) {
    if (performance.now() > endMs) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function registered(...daemons: Daemon[]): Promise<void> {
  return until(
    "registration",
    () => daemons.every(({ parts }) => parts.registration.state === "registered"),
  );
}

/** The driver of a daemon. */
function driverOf(dir: string, name: string): ReturnType<typeof connect> {
  return connect({ socket: join(dir, `${name}.sock`) });
}

/** Makes two trust each other. */
async function befriend(dir: string, a: [string, Daemon], b: [string, Daemon]): Promise<void> {
  await using one = await driverOf(dir, a[0]);
  await using two = await driverOf(dir, b[0]);
  await one.trust.request(b[1].node, "");
  await two.trust.request(a[1].node, "");
  await one.trust.waitFor(b[1].node, { timeoutMs: 10_000 });
  await two.trust.waitFor(a[1].node, { timeoutMs: 10_000 });
}

/** Nothing of one node gets into another. */
async function assertShut(dir: string, from: string, target: number): Promise<void> {
  await using driver = await driverOf(dir, from);
  const limits = { timeoutMs: 1_500 };
  await assert.rejects(driver.ping(target, limits), "a ping was answered");
  await assert.rejects(driver.dial(target, ECHO, limits), "a stream was accepted");
  await assert.rejects(driver.sendMessage(target, "x", limits), "a message was taken");
}

/** The node of a daemon, for requests of our own in its name. */
async function inTheNameOf(dir: string, name: string, daemon: Daemon): Promise<TestNode> {
  const file = await Deno.readTextFile(join(dir, name, "identity.json"));
  const node = new TestNode(await Identity.fromFile(file));
  node.id = daemon.node;
  return node;
}

/** A daemon without scruples: it takes what it knows for an answer of the registry. */
function knowsWhere(attacker: Daemon, victim: Daemon): void {
  const { port } = parseEndpoint(`127.0.0.1:${victim.socket.local.port}`);
  attacker.parts.directory.resolve = () =>
    Promise.resolve({ endpoint: { host: "127.0.0.1", port }, alternatives: [] });
}

Deno.test("two strangers who report trust in a private node, and in each other, get nothing in and learn nothing", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous();
    await using victim = await startDaemon(dir, "victim", rendezvous, { hostname: "victim" });
    await using eve = await startDaemon(dir, "eve", rendezvous);
    await using mallory = await startDaemon(dir, "mallory", rendezvous);
    await registered(victim, eve, mallory);
    const strangers = [
      await inTheNameOf(dir, "eve", eve),
      await inTheNameOf(dir, "mallory", mallory),
    ];
    for (const stranger of strangers) {
      using client = await RawClient.open(rendezvous.registryAddr);
      for (const peer of [victim.node, ...strangers.map(({ id }) => id)]) {
        if (peer === stranger.id) continue;
        const about = { node_id: stranger.id, peer_id: peer, [WHOLE_BY]: stranger };
        await client.ok({ type: "report_trust", ...about });
        await client.ok({ type: "respond_handshake", accept: true, ...about });
      }
      const resolve = { type: "resolve", node_id: victim.node, requester_id: stranger.id };
      assert.equal(await client.fails({ ...resolve, [WHOLE_BY]: stranger }), "request failed");
      const seen = await client.ok({ type: "lookup", node_id: victim.node });
      assert.deepEqual([seen.hostname, seen.real_addr, seen.networks], [undefined, undefined, [0]]);
    }
    // As told by the registry, and with its address from elsewhere.
    await assertShut(dir, "eve", victim.node);
    knowsWhere(mallory, victim);
    await assertShut(dir, "mallory", victim.node);
    assert.deepEqual(victim.parts.stack.tunnels.list(), [], "nor a key");
    await using driver = await driverOf(dir, "victim");
    assert.deepEqual(await driver.trust.peers(), []);
    assert.deepEqual(await driver.trust.pending(), []);
  }));

Deno.test("a stranger that is refused learns no more than before", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous();
    await using victim = await startDaemon(dir, "victim", rendezvous, { hostname: "victim" });
    await using eve = await startDaemon(dir, "eve", rendezvous);
    await registered(victim, eve);
    const heard: string[] = [];
    eve.parts.events.subscribe(({ name }) => void heard.push(name));
    await using driver = await driverOf(dir, "victim");
    await using theirs = await driverOf(dir, "eve");
    await theirs.trust.request(victim.node, "");
    await until("the request", async () => (await driver.trust.pending()).length === 1);
    await driver.trust.reject(eve.node, "no");
    await until("the answer", () => heard.includes("handshake.rejected_by_peer"));
    const stranger = await inTheNameOf(dir, "eve", eve);
    using client = await RawClient.open(rendezvous.registryAddr);
    const resolve = { type: "resolve", node_id: victim.node, requester_id: eve.node };
    assert.equal(await client.fails({ ...resolve, [WHOLE_BY]: stranger }), "request failed");
    assert.equal((await client.ok({ type: "lookup", node_id: victim.node })).hostname, undefined);
    assert.deepEqual(
      [eve.parts.stack.tunnels.list(), victim.parts.stack.tunnels.list()],
      [[], []],
      "nor is there a tunnel",
    );
  }));

Deno.test("a registry that vouches for everybody, by every means, opens no private node", () =>
  withDir(async (dir) => {
    await using liar = new RegistryServer();
    const keys = new Map<string, number>();
    const registry = (request: JsonObject): JsonObject => {
      const type = `${String(request.type)}_ok`;
      const nodeOf = (key: string) => {
        if (!keys.has(key)) keys.set(key, keys.size + 1);
        return keys.get(key)!;
      };
      const others = [...keys.values()].filter((node) => node !== request.node_id);
      switch (request.type) {
        case "register": {
          const node_id = nodeOf(String(request.public_key));
          return { type, node_id, network_id: 0, address: "", observed_addr: "127.0.0.1:1" };
        }
        case "lookup": {
          const [public_key] = [...keys].find(([, node]) => node === request.node_id) ?? [""];
          return {
            type,
            node_id: request.node_id!,
            public_key,
            public: false,
            networks: [0, 1, 9],
          };
        }
        case "check_trust":
          return { type, trusted: true };
        case "report_trust":
          return { type };
        case "get_network_policy":
          return { type, allowed_ports: [] };
        case "poll_handshakes": {
          // Everybody has accepted, and everybody has asked.
          const said = others.map((from_node_id) => ({ from_node_id, accept: true, timestamp: 0 }));
          return { type, requests: said.slice(1), responses: said, revocations: [], ack: "x" };
        }
        default:
          return { type };
      }
    };
    liar.auto = registry;
    const rendezvous = { registryAddr: liar.address, beaconAddr: "" } as Rendezvous;
    await using victim = await startDaemon(dir, "victim", rendezvous, { pollMs: 100 });
    await using eve = await startDaemon(dir, "eve", rendezvous);
    await registered(victim, eve);
    knowsWhere(eve, victim);
    await assertShut(dir, "eve", victim.node);
    await using driver = await driverOf(dir, "victim");
    assert.deepEqual(await driver.trust.peers(), []);
    assert.deepEqual(victim.parts.stack.tunnels.list(), []);
  }));

Deno.test("a peer that was off while its trust was revoked is refused when it is back, until there is new consent", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous();
    await using alice = await startDaemon(dir, "alice", rendezvous);
    const bob = await startDaemon(dir, "bob", rendezvous);
    await registered(alice, bob);
    await befriend(dir, ["alice", alice], ["bob", bob]);
    {
      await using driver = await driverOf(dir, "bob");
      await driver.sendMessage(alice.node, "trusted");
    }
    const { node } = bob;
    await bob.stop();
    await using driver = await driverOf(dir, "alice");
    await driver.trust.revoke(node);
    await using back = await startDaemon(dir, "bob", rendezvous);
    await registered(back);
    assert.equal(back.node, node);
    knowsWhere(back, alice);
    await assertShut(dir, "bob", alice.node);
    await using theirs = await driverOf(dir, "bob");
    await until("bob learns of it", async () => (await theirs.trust.peers()).length === 0);
    await theirs.trust.request(alice.node, "again");
    await until("the request", async () => (await driver.trust.pending()).length === 1);
    await assertShut(dir, "bob", alice.node);
    await driver.trust.approve(node);
    await theirs.trust.waitFor(alice.node, { timeoutMs: 10_000 });
    await theirs.sendMessage(alice.node, "and again");
  }));

Deno.test("a revocation made while the registry takes the node for absent is delivered when it is back", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous();
    await using alice = await startDaemon(dir, "alice", rendezvous, { keepaliveMs: 500 });
    const bob = await startDaemon(dir, "bob", rendezvous);
    await registered(alice, bob);
    await befriend(dir, ["alice", alice], ["bob", bob]);
    await bob.stop();
    // As after five minutes without a heartbeat.
    using client = await RawClient.open(rendezvous.registryAddr);
    const self = await inTheNameOf(dir, "alice", alice);
    await client.ok({ type: "deregister", node_id: alice.node, [WHOLE_BY]: self });
    await using driver = await driverOf(dir, "alice");
    await driver.trust.revoke(bob.node);
    const heartbeat = { type: "heartbeat", node_id: alice.node, [WHOLE_BY]: self };
    await until("alice is back", async () => (await client.call(heartbeat)).type !== "error");
    await using back = await startDaemon(dir, "bob", rendezvous);
    await registered(back);
    await using theirs = await driverOf(dir, "bob");
    await until("bob learns of it", async () => (await theirs.trust.peers()).length === 0);
    await assert.rejects(back.parts.directory.resolve(alice.node), { code: "untrusted" });
  }));

Deno.test("a member's streams and trust end with its membership, also after a restart, and ports are those of the network", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous({ adminToken: ADMIN });
    const alice = await startDaemon(dir, "alice", rendezvous);
    await using bob = await startDaemon(dir, "bob", rendezvous);
    await registered(alice, bob);
    await until(
      "wakes",
      () => alice.parts.stack.tunnels.beacon.isProven && bob.parts.stack.tunnels.beacon.isProven,
    );
    using admin = await RawClient.open(rendezvous.registryAddr);
    const as = { admin_token: ADMIN, node_id: alice.node };
    const created = await admin.ok({
      ...{ type: "create_network", name: "team", join_rule: "open", enterprise: true },
      ...as,
    });
    const network_id = Number(created.network_id);
    {
      await using one = await driverOf(dir, "alice");
      // The admin has put it there; that alone opens nothing.
      await using two = await driverOf(dir, "bob");
      await two.networks.join(network_id);
      await assertShut(dir, "bob", alice.node);
      await one.networks.join(network_id);
      // Asked by nobody, approved by the network.
      await two.trust.request(alice.node, "");
      await two.trust.waitFor(alice.node, { timeoutMs: 10_000 });
      assert.equal((await one.trust.peers())[0]!.network, network_id);

      const conn = await two.dial(alice.node, ECHO);
      await conn.write("member");
      assert.equal(new TextDecoder().decode(await conn.read()), "member");
      await assert.rejects(
        two.dial({ network: network_id + 1, node: alice.node }, ECHO, { timeoutMs: 1_500 }),
        "a network that is not shared",
      );
      await admin.ok({ type: "set_network_policy", network_id, allowed_ports: [ECHO], ...as });
      await until(
        "the policy",
        () =>
          two.dial(alice.node, 1002, { timeoutMs: 500 }).then((open) => {
            open.abort();
            return false;
          }, () => true),
      );
      (await two.dial(alice.node, ECHO)).abort();

      const startMs = performance.now();
      await admin.ok({ type: "kick_member", network_id, target_node_id: bob.node, ...as });
      const ended = await conn.read().then((data) => data ?? "ended", () => "ended");
      assert.equal(ended, "ended");
      assert.ok(performance.now() - startMs < 10_000, "within seconds");
      await assertShut(dir, "bob", alice.node);
      await until("no trust is left", async () => (await one.trust.peers()).length === 0);
    }
    await alice.stop();
    await using again = await startDaemon(dir, "alice", rendezvous);
    await registered(again);
    knowsWhere(bob, again);
    await assertShut(dir, "bob", again.node);
  }));

Deno.test("a member that was asked something as one is shut out by a kick, too", () =>
  withDir(async (dir) => {
    await using rendezvous = await startRendezvous({ adminToken: ADMIN });
    await using alice = await startDaemon(dir, "alice", rendezvous);
    await using bob = await startDaemon(dir, "bob", rendezvous);
    await registered(alice, bob);
    using admin = await RawClient.open(rendezvous.registryAddr);
    const as = { admin_token: ADMIN, node_id: alice.node };
    const created = await admin.ok({
      ...{ type: "create_network", name: "team", join_rule: "invite", enterprise: true },
      ...as,
    });
    const network_id = Number(created.network_id);
    await using one = await driverOf(dir, "alice");
    await using two = await driverOf(dir, "bob");
    // Its owner needs no invitation.
    await one.networks.join(network_id);
    await admin.ok({
      ...{ type: "invite_to_network", network_id, inviter_id: alice.node },
      ...{ target_node_id: bob.node, admin_token: ADMIN },
    });
    await two.networks.respond(network_id, true);
    await one.ping(bob.node);
    await two.sendMessage(alice.node, "a member's answer");
    await admin.ok({ type: "kick_member", network_id, target_node_id: bob.node, ...as });
    knowsWhere(bob, alice);
    await until(
      "the gate is shut",
      () => two.sendMessage(alice.node, "x", { timeoutMs: 1_000 }).then(() => false, () => true),
    );
    await assertShut(dir, "bob", alice.node);
  }));
