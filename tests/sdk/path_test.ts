/** `driver.path()` with real daemons: the way to a direct peer, to a relayed one, and to one that there is none to. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { PathReport } from "../../protocol/path/mod.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { connect, type Driver } from "../../sdk/mod.ts";
import type { DaemonOptions } from "../../platform/settings/mod.ts";
import { startDaemon } from "../e2e/in_process.ts";
import { eventually } from "../e2e/processes.ts";
import { rejectsWith } from "./support.ts";

/** Never given out by a registry that has just begun. */
const NOBODY = 4_000_000;

/** Daemons in this process that anybody may reach, each with a driver. */
class World implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #dir: string;
  readonly rendezvous: Rendezvous;

  private constructor(dir: string, rendezvous: Rendezvous) {
    this.#dir = dir;
    this.rendezvous = rendezvous;
    this.#stack.defer(() => Deno.remove(dir, { recursive: true }));
    this.#stack.use(rendezvous);
  }

  static async start(): Promise<World> {
    const addrs = { registryAddr: "127.0.0.1:0", beaconAddr: "127.0.0.1:0", store: undefined };
    return new World(
      await Deno.makeTempDir({ prefix: "pilot-path-" }),
      await Rendezvous.start(addrs),
    );
  }

  async daemon(name: string, changes: Partial<DaemonOptions> = {}): Promise<[Driver, number]> {
    const options: Partial<DaemonOptions> = { public: true, ...changes };
    this.#stack.use(await startDaemon(this.#dir, name, this.rendezvous, options));
    const driver = await connect({ socket: join(this.#dir, `${name}.sock`) });
    this.#stack.use(driver);
    const node = await eventually(`${name} registers`, async () => {
      const { registration, node_id } = await driver.info();
      if (registration !== "registered") return undefined;
      const { public: isPublic } = await driver.registry.lookup(node_id);
      return isPublic === true ? node_id : undefined;
    });
    return [driver, node];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Every field has the type that it is said to have, and what one says does not belie another. */
function assertShape(report: PathReport, node: number): void {
  const count = (value: unknown) =>
    typeof value === "number" && Number.isFinite(value) && value >= 0;
  const countOrNull = (value: unknown) => value === null || count(value);
  assert.deepEqual(Object.keys(report).sort(), [
    ...["candidates", "endpoint", "heard_ms", "kind", "mode", "mss", "next_search_ms", "node_id"],
    ...["path_mtu", "reason", "reason_code", "route", "rtt_ms", "since_ms"],
  ]);
  assert.equal(report.node_id, node);
  for (const key of ["since_ms", "rtt_ms", "heard_ms", "next_search_ms"] as const) {
    assert.ok(countOrNull(report[key]), `${key}: ${report[key]}`);
  }
  assert.ok(report.mss > 0 && report.mss < report.path_mtu, `${report.mss} of ${report.path_mtu}`);
  assert.equal(report.reason_code === "", report.route === "direct");
  assert.equal(report.reason === "", report.reason_code === "");
  const inUse = report.candidates.filter(({ state }) => state === "in_use");
  assert.deepEqual(inUse.map(({ endpoint, kind }) => ({ endpoint, kind })), [
    { endpoint: report.endpoint, kind: report.kind },
  ]);
  for (const candidate of report.candidates) {
    assert.deepEqual(Object.keys(candidate).sort(), [
      ...[
        "answered",
        "bytes_received",
        "bytes_sent",
        "endpoint",
        "frames_received",
        "frames_sent",
        "kind",
        "last_answer_ms",
        "last_sent_ms",
        "max_bytes",
        "rtt_ms",
        "sent",
      ],
      "state",
    ]);
    const { endpoint, kind, sent, answered } = candidate;
    assert.match(endpoint, kind === "relay" ? /^\(relay\)$/ : /^127\.0\.0\.1:\d+$/);
    assert.ok(count(sent) && count(answered) && answered <= sent);
    for (const key of ["rtt_ms", "last_sent_ms", "last_answer_ms"] as const) {
      assert.ok(countOrNull(candidate[key]), `${key}: ${candidate[key]}`);
    }
    assert.equal(candidate.last_sent_ms === null, sent === 0);
    assert.equal(candidate.last_answer_ms === null, answered === 0);
  }
}

Deno.test("Driver.path shows the path to a direct peer", async () => {
  await using world = await World.start();
  const [alice, a] = await world.daemon("alice");
  const [bob, b] = await world.daemon("bob");
  await alice.ping(b);
  const report = await eventually("the path is direct", async () => {
    const report = await alice.path(b);
    assertShape(report, b);
    return report.route === "direct" ? report : undefined;
  });
  assert.equal(report.mode, "auto");
  assert.notEqual(report.kind, "relay");
  assert.deepEqual(report.candidates.at(-1)!.endpoint, "(relay)");
  // By every form of a target, and from the other end.
  const { address, endpoint } = await bob.info();
  assert.equal(report.endpoint, endpoint);
  assert.equal((await alice.path(address)).endpoint, report.endpoint);
  assertShape(await bob.path(a), a);
});

Deno.test("Driver.path shows that and why a peer is relayed, at both ends", async () => {
  await using world = await World.start();
  const [alice, a] = await world.daemon("alice");
  const [shy, s] = await world.daemon("shy", { pathMode: "relay-only" });
  await alice.ping(s);
  const there = await alice.path(s);
  assertShape(there, s);
  assert.deepEqual(
    [there.route, there.endpoint, there.kind, there.mode, there.reason_code],
    ["relay", "(relay)", "relay", "auto", "no_endpoint"],
  );
  assert.match(there.reason, /No address of the peer is known/);
  const back = await shy.path(a);
  assertShape(back, a);
  assert.deepEqual(
    [back.route, back.endpoint, back.mode, back.reason_code],
    ["relay", "(relay)", "relay-only", "relay_only"],
  );
  assert.match(back.reason, /relay-only/);
  assert.deepEqual(back.candidates.map(({ kind }) => kind), ["relay"]);
});

Deno.test("Driver.path fails with not_found where there is no tunnel, and says how to open one", async () => {
  await using world = await World.start();
  const [alice] = await world.daemon("alice");
  const [, b] = await world.daemon("bob");
  // One that nobody is, and one that nothing was sent to.
  for (const node of [NOBODY, b]) {
    const error = await rejectsWith(alice.path(node), "not_found", new RegExp(`node ${node}`));
    assert.deepEqual(error.advice, { id: "open_tunnel", node });
  }
  await rejectsWith(alice.path("nobody-of-this-name"), "not_found");
  await rejectsWith(alice.path(-1), "invalid_argument");
  await rejectsWith(alice.path(""), "invalid_argument");
  // Asking opens nothing.
  await rejectsWith(alice.path(b), "not_found");
});
