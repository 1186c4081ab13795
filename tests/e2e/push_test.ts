/** What waits in the registry reaches a daemon at once: no poll explains it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Daemon } from "../../daemon/daemon.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { startDaemon } from "./in_process.ts";

/** Longer than any test: a poll at an interval cannot be why something arrives. */
const NEVER_MS = 10 * 60_000;
/** What an end-to-end step may take that waits for nothing. */
const SOON_MS = 1_000;

/** A daemon whose events can be awaited. */
class Watched {
  /** Wakes of the beacon. */
  woken = 0;
  readonly #seen = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  constructor(daemon: Daemon) {
    const { trust, events } = daemon.parts;
    const wake = trust.wake.bind(trust);
    trust.wake = () => {
      this.woken++;
      wake();
    };
    events.subscribe(({ name }) => {
      this.#seen.add(name);
      this.#waiting.get(name)?.();
    });
  }

  /** Resolves when the event has happened. */
  event(name: string): Promise<void> {
    if (this.#seen.has(name)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.set(name, resolve));
  }
}

Deno.test("two private agents that never met trust each other in under a second, without polling", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pilot-push-" });
  try {
    await using rendezvous = await Rendezvous.start({
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      store: join(dir, "store"),
    });
    await using alice = await startDaemon(dir, "alice", rendezvous, { pollMs: NEVER_MS });
    const a = new Watched(alice);
    await using bob = await startDaemon(dir, "bob", rendezvous, { pollMs: NEVER_MS });
    const b = new Watched(bob);
    for (const watched of [a, b]) {
      await watched.event("node.registered");
      await watched.event("tunnel.endpoint_proven");
    }
    const startMs = performance.now();
    assert.equal(await alice.trust.request(bob.node, "let us talk"), "sent");
    const trusted = alice.trust.waitFor(bob.node, 30_000);
    await b.event("handshake.pending");
    await bob.trust.approve(alice.node);
    assert.equal(await trusted, true);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < SOON_MS, `${tookMs} ms`);
    assert.ok(b.woken >= 1, "the beacon woke bob");
    assert.deepEqual(alice.trust.trusted().map(({ node_id }) => node_id), [bob.node]);
    assert.deepEqual(bob.trust.trusted().map(({ node_id }) => node_id), [alice.node]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
