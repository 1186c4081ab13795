/** The registry without sockets: what cannot be provoked from loopback, and batches that swap names. */

import assert from "node:assert/strict";
import { registryFailure } from "../../../platform/registry_client.ts";
import { getLogger } from "../../../platform/log.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type { Peer } from "../../../rendezvous/registry/context.ts";
import {
  NEW_NODES_BURST,
  NEW_NODES_PER_SECOND,
} from "../../../rendezvous/registry/registry_limits.ts";
import { MemoryStore } from "../../../rendezvous/registry/store/memory_store.ts";
import { SqliteStore } from "../../../rendezvous/registry/store/sqlite.ts";
import type { RegistryStore } from "../../../rendezvous/registry/store/store.ts";
import { withDirectory } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { CHANGE } from "../support/context.ts";

function newCore(store: RegistryStore, clock = new ManualClock()): RegistryCore {
  return new RegistryCore({ store, clock, log: getLogger(["test"]) });
}

function key(n: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, n);
  return btoa(String.fromCharCode(...bytes));
}

function peer(ip: string): Peer {
  return { ip, key: ip, port: 5555, loopback: false, auth: new ConnectionAuth() };
}

Deno.test("register limits new numbers by source and lets known keys pass", async () => {
  const clock = new ManualClock();
  const core = newCore(new MemoryStore(), clock);
  const register = (n: number, from: Peer) =>
    answerJson(core, { type: "register", public_key: key(n), listen_addr: "h:1" }, from);
  const [one, two] = [peer("192.0.2.1"), peer("192.0.2.2")];
  const replies = await Promise.all(
    Array.from({ length: NEW_NODES_BURST }, (_, n) => register(n, one)),
  );
  assert.ok(replies.every((reply) => "node_id" in reply));
  const limited = await register(NEW_NODES_BURST, one);
  assert.match(JSON.stringify(limited), /rate limited/);
  assert.ok("node_id" in await register(0, one));
  assert.ok("node_id" in await register(NEW_NODES_BURST, two));
  clock.advance(1000);
  const later = await Promise.all(
    Array.from({ length: NEW_NODES_PER_SECOND + 1 }, (_, n) => register(90_000 + n, one)),
  );
  const refused = later.filter((reply) => !("node_id" in reply));
  assert.equal(refused.length, 1);
  await core.close();
});

Deno.test("the endpoint of a node is what its TCP connection comes from", async () => {
  const core = newCore(new MemoryStore());
  const observed = async (ip: string) => {
    const request = { type: "register", public_key: key(1), listen_addr: "127.0.0.1:4000" };
    return (await answerJson(core, request, peer(ip)) as { observed_addr?: string }).observed_addr;
  };
  assert.equal(await observed("192.0.2.1"), "192.0.2.1:4000");
  assert.equal(await observed("2001:db8::1"), "[2001:db8::1]:4000");
  await core.close();
});

Deno.test("two nodes may swap names and keys in one batch", () =>
  withDirectory(async (directory) => {
    const first = newCore(await SqliteStore.open(directory));
    await first.change(CHANGE, () => {
      first.nodes.setHostname(first.nodes.create(key(1)), "one");
      first.nodes.setHostname(first.nodes.create(key(2)), "two");
    });
    const [a, b] = [first.nodes.live(1), first.nodes.live(2)];
    await first.change(CHANGE, () => {
      first.nodes.setHostname(a, "");
      first.nodes.setHostname(b, "one");
      first.nodes.setHostname(a, "two");
      first.nodes.setKey(a, key(3));
      first.nodes.setKey(b, key(1));
      first.nodes.setKey(a, key(2));
    });
    await first.close();
    const second = newCore(await SqliteStore.open(directory));
    assert.equal(second.nodes.byHostname("two")?.id, 1);
    assert.equal(second.nodes.byHostname("one")?.id, 2);
    assert.equal(second.nodes.byKey(key(2))?.id, 1);
    assert.equal(second.nodes.byKey(key(1))?.id, 2);
    await second.close();
  }));

Deno.test("reaping looks at every node in turns, however small the turns are", async () => {
  const clock = new ManualClock();
  const core = newCore(new MemoryStore(), clock);
  await core.change(CHANGE, () => {
    for (let n = 1; n <= 10; n++) core.nodes.create(key(n));
  });
  clock.advance(301_000);
  let reaped = 0;
  await core.change(CHANGE, () => {
    for (let turn = 0; turn < 4; turn++) reaped += core.nodes.reap(300_000, 3);
  });
  assert.equal(reaped, 10);
  assert.equal(core.nodes.liveCount, 0);
  assert.equal(core.nodes.size, 10);
  await core.close();
});

Deno.test("a store that cannot be written is reported as such, not as a refusal, and without its reason", async () => {
  class FullStore extends MemoryStore {
    isFull = true;
    override commit(...args: Parameters<MemoryStore["commit"]>): ReturnType<MemoryStore["commit"]> {
      if (this.isFull) return Promise.reject(new Error("disk full at /a/path"));
      return super.commit(...args);
    }
  }
  const store = new FullStore();
  const core = newCore(store);
  const request = { type: "register", public_key: key(1), listen_addr: "h:1" };
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await answerJson(core, request, peer("192.0.2.1")), {
      type: "error",
      error: "the registry cannot write its store",
      code: "unavailable",
    });
  }
  const failure = registryFailure("revoke_trust", {
    error: "the registry cannot write its store",
  });
  assert.equal(failure.code, "unavailable");
  store.isFull = false;
  await core.close();
});
