/** Lifecycle events of real daemons, as programs beside them get them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  connect,
  type ConnEvent,
  type DaemonEvents,
  type LifecycleEvent,
  type LifecycleEventName,
  type LifecycleEvents,
} from "../../mod.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { startDaemon } from "./in_process.ts";

/** The next event of this name, of those that `wanted` takes. */
async function next<K extends LifecycleEventName>(
  events: DaemonEvents,
  name: K,
  wanted: (data: LifecycleEvents[K]) => boolean = () => true,
): Promise<LifecycleEvent<K>> {
  for (;;) {
    const event = await events.next({ signal: AbortSignal.timeout(30_000) });
    assert.ok(event !== undefined);
    if (event.name === name && wanted(event.data as LifecycleEvents[K])) {
      return event as LifecycleEvent<K>;
    }
  }
}

const PORT = 4000;
/** Handshakes are connections, too. */
const ofPort = ({ dst_port }: ConnEvent) => dst_port === PORT;

Deno.test("a program learns of trust, connections, messages and the end of trust from two daemons", async () => {
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
    await using listener = await other.listen(PORT);
    const conn = await a.dial(bob.node, PORT);
    const established = await next(seenByBob, "conn.established", ofPort);
    const accepted = await listener.accept();
    await Promise.all([conn.close(), accepted.close()]);
    const closed = await next(seenByBob, "conn.closed", ofPort);
    assert.deepEqual(closed.data, established.data);
    const broken = await alice.network.dial({ network: 0, node: bob.node }, PORT);
    broken.abort();
    const reset = await next(seenByBob, "conn.closed", ofPort);
    assert.equal(reset.data.error, "connection_closed");

    await a.sendMessage(bob.node, "hello");
    const message = await next(seenByBob, "message.received");
    assert.equal(message.data.size, 5);

    await b.trust.revoke(alice.node);
    await next(seenByBob, "trust.revoked");
    const ended = await next(seenByAlice, "trust.revoked_by_peer");
    assert.deepEqual(ended.data, { peer_node_id: bob.node });
    assert.equal(seenByAlice.missed + seenByBob.missed, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
