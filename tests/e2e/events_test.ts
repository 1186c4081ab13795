/** Lifecycle events of real daemons, as programs beside them get them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { connect, type DaemonEvents, type LifecycleEvent } from "../../mod.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { startDaemon } from "./in_process.ts";

/** The next of these events. */
async function next(events: DaemonEvents, name: string): Promise<LifecycleEvent> {
  for (;;) {
    const event = await events.next({ signal: AbortSignal.timeout(30_000) });
    assert.ok(event !== undefined);
    if (event.name === name) return event;
  }
}

Deno.test("a program is told of trust, connections, messages and the end of trust by two daemons", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pilot-events-" });
  try {
    await using rendezvous = await Rendezvous.start({
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      store: join(dir, "store"),
    });
    await using alice = await startDaemon(dir, "alice", rendezvous);
    await using bob = await startDaemon(dir, "bob", rendezvous);
    await using a = await connect({ socket: join(dir, "alice.sock") });
    await using b = await connect({ socket: join(dir, "bob.sock") });
    await using seenByAlice = await a.events();
    await using seenByBob = await b.events();
    while (alice.node === 0 || bob.node === 0) {
      await next(alice.node === 0 ? seenByAlice : seenByBob, "node.registered");
    }

    await a.trust.request(bob.node, "let us talk");
    const asked = await next(seenByBob, "handshake.pending");
    assert.deepEqual(asked.data, { peer_node_id: alice.node, justification: "let us talk" });
    await b.trust.approve(alice.node);
    const approved = await next(seenByBob, "handshake.approved");
    assert.deepEqual(approved.data, { peer_node_id: alice.node });
    assert.ok(approved.id > asked.id && approved.atMs >= asked.atMs);
    await a.trust.waitFor(bob.node);

    // Another program's connection: events are those of the daemon, not of one client.
    await using other = await connect({ socket: join(dir, "bob.sock") });
    await using listener = await other.listen(4000);
    const conn = await a.dial(bob.node, 4000);
    const established = await next(seenByBob, "conn.established");
    assert.equal("dst_port" in established.data && established.data.dst_port, 4000);
    conn.abort();
    (await listener.accept()).abort();

    await a.sendMessage(bob.node, "hello");
    const message = await next(seenByBob, "message.received");
    assert.equal("size" in message.data && message.data.size, 5);

    await b.trust.revoke(alice.node);
    await next(seenByBob, "trust.revoked");
    const ended = await next(seenByAlice, "trust.revoked_by_peer");
    assert.deepEqual(ended.data, { peer_node_id: bob.node });
    assert.equal(seenByAlice.missed + seenByBob.missed, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
