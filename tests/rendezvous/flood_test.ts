/**
 * A rendezvous under attack: a hostile process floods it with connections, half frames, huge lengths, garbage and
 * forgeries while honest clients do their work. `deno task test:flood` does so for a minute.
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { cliArgs, eventually } from "../e2e/processes.ts";
import { challenges } from "./support/challenges.ts";
import { RawClient, registered, split, type TestNode } from "./support/client.ts";
import { withDirectory } from "./support/server.ts";

const HOSTILE = fileURLToPath(new URL("./flood/hostile.ts", import.meta.url));
const SECONDS = Number(Deno.env.get("PILOT_FLOOD_SECONDS") || "8");
/**
 * Within which 99 of 100 lookups of honest clients must be answered, whatever happens. Among other tests, which need
 * the processor too, only that nobody is kept out.
 */
const P99_MS = Deno.env.get("PILOT_FLOOD_SECONDS") ? 250 : 2_000;
/**
 * What the server's memory may grow by under attack: 64 MiB of begun requests, 2,048 connections, the beacon's mappings,
 * and as much again that V8 has not collected yet.
 */
const MAX_GROWTH_MB = 300;
/** And in the last quarter of the time beyond the three before: it fills up, then stops growing. */
const MAX_LATE_GROWTH = 1.2;
const ADMIN = "the admin token of this test";
const CLIENTS = 4;
const NODES = 20;

Deno.test({
  name: "honest clients of a rendezvous under attack are served, and nothing of theirs changes",
  timeout: (SECONDS * 2 + 90) * 1000,
  fn: () => withDirectory((directory) => attack(directory)),
});

async function attack(directory: string): Promise<void> {
  const store = `${directory}/store`;
  await using server = await start([
    ...cliArgs("rendezvous", "--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"),
    ...["--store", store, "--json", "--log-level", "warn"],
  ], { PILOT_ADMIN_TOKEN: ADMIN });
  const ready = (server.first as { data: { registry: string; beacon: string; pid: number } }).data;
  using client = await RawClient.open(ready.registry);
  const honest = await Honest.create(client);
  const before = without(dump(store), []);
  const quietMb = residentMb(ready.pid);
  const config = {
    registry: split(ready.registry).port,
    beacon: split(ready.beacon).port,
    victim: honest.victim,
  };
  const report: string[] = [`quiet: ${summary(await honest.work(ready.registry, 1_000))}`];
  const samplesMb: number[] = [];
  // First from elsewhere; then from the address of honest clients, those of which that are connected already.
  const connected = await honest.connect(ready.registry);
  for (const from of ["127.0.0.66", "127.0.0.1"]) {
    await using hostile = await start([
      ...["run", "-A", "--quiet", "--no-check", HOSTILE, JSON.stringify({ ...config, from })],
    ]);
    const isElsewhere = from !== "127.0.0.1";
    const times = await honest.work(
      isElsewhere ? ready.registry : undefined,
      SECONDS * 500,
      connected,
      async () => {
        samplesMb.push(residentMb(ready.pid));
        await honest.another(client);
      },
    );
    const done = await hostile.end() as Record<string, number>;
    report.push(`from ${from}: ${summary(times)}; ${JSON.stringify(done)}`);
    assert.ok(percentile(times, 0.99) < P99_MS, report.join("\n"));
    assert.ok((done["forgery"] ?? 0) > 1_000, report.join("\n"));
    assert.equal(done["granted"], undefined, "nothing is granted to a liar");
  }
  for (const each of connected) each.close();
  await eventually("the server closes the attackers' connections", () => {
    return Promise.resolve(descriptors(ready.pid) < 200);
  });
  const quarter = Math.ceil(samplesMb.length / 4);
  const peaksMb = [0, 1, 2, 3].map((n) =>
    Math.max(...samplesMb.slice(n * quarter, (n + 1) * quarter))
  );
  report.push(
    `memory: ${quietMb} MB, at most ${peaksMb.join(", ")} MB in each quarter of the time`,
  );
  console.log(report.join("\n"));
  const earlyMb = Math.max(...peaksMb.slice(0, 3));
  assert.ok(Math.max(...peaksMb) - quietMb < MAX_GROWTH_MB, report.join("\n"));
  if (SECONDS >= 60) assert.ok(peaksMb[3]! <= earlyMb * MAX_LATE_GROWTH, report.join("\n"));
  // A last change of an honest client is written after everything else.
  await honest.another(client);
  assert.deepEqual(without(dump(store), honest.newcomers), before);
}

/** A process that prints JSON lines; the first says that it is ready. */
class Running implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;
  first: unknown;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = lines(child.stdout);
  }

  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("The process ended without a word");
    return JSON.parse(value);
  }

  /** Ends its stdin, and returns its last word. */
  async end(): Promise<unknown> {
    await this.#child.stdin.close();
    const last = await this.next();
    await this.#child.status;
    return last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.stdin.abort().catch(() => {
      // The pipe went with the process, or is closed.
    });
    await this.#lines.return?.();
    await this.#child.status;
  }
}

async function start(args: string[], env: Record<string, string> = {}): Promise<Running> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const running = new Running(child);
  running.first = await running.next();
  return running;
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncIterableIterator<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (text + part).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

/** The honest clients: nodes that look each other up, and one that registers now and then. */
class Honest {
  /** Nodes registered during the attack. */
  readonly newcomers: number[] = [];
  readonly #nodes: TestNode[];
  readonly #network: number;

  private constructor(nodes: TestNode[], network: number) {
    this.#nodes = nodes;
    this.#network = network;
  }

  static async create(client: RawClient): Promise<Honest> {
    const nodes: TestNode[] = [];
    for (let i = 0; i < NODES; i++) nodes.push(await registered(client, { hostname: `node-${i}` }));
    const [owner, friend] = nodes as [TestNode, TestNode];
    const created = await client.ok({
      type: "create_network",
      admin_token: ADMIN,
      node_id: owner.id,
      name: "honest",
    });
    for (const [one, other] of [[owner, friend], [friend, owner]] as const) {
      const signature = await one.sign(challenges.reportTrust(one.id, other.id));
      await client.ok({ type: "report_trust", node_id: one.id, peer_id: other.id, signature });
    }
    return new Honest(nodes, Number(created.network_id));
  }

  /** In whose name is lied: the owner of the network, who trusts the node with the next number. */
  get victim(): { id: number; key: string; network: number } {
    const { id, identity } = this.#nodes[0]!;
    return { id, key: identity.publicKeyBase64, network: this.#network };
  }

  async connect(registry: string): Promise<RawClient[]> {
    return await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.open(registry)));
  }

  /** Registers one more node. */
  async another(client: RawClient): Promise<void> {
    this.newcomers.push((await registered(client)).id);
  }

  /**
   * Looks nodes up for a time on the connections given, and on new ones if there is an address for them; does `each` now
   * and then.
   *
   * @returns How long each of these took, connecting included, ms.
   */
  async work(
    registry: string | undefined,
    ms: number,
    clients: readonly RawClient[] = [],
    each: () => Promise<void> = () => Promise.resolve(),
  ): Promise<number[]> {
    const times: number[] = [];
    const endMs = performance.now() + ms;
    const lookup = async (client: RawClient) => {
      const node = this.#nodes[times.length % NODES]!;
      const reply = await client.ok({ type: "lookup", node_id: node.id });
      assert.equal(reply.public_key, node.identity.publicKeyBase64);
    };
    const timed = async (fn: () => Promise<void>) => {
      const startMs = performance.now();
      await fn();
      times.push(performance.now() - startMs);
    };
    const runs = clients.map(async (client) => {
      while (performance.now() < endMs) {
        await timed(() => lookup(client));
        await pause(20);
      }
    });
    const newOnes = async () => {
      while (registry !== undefined && performance.now() < endMs) {
        await timed(async () => {
          using client = await RawClient.open(registry);
          await lookup(client);
        });
        await pause(50);
      }
    };
    const now = async () => {
      while (performance.now() < endMs) {
        await pause(500);
        await timed(each);
      }
    };
    await Promise.all([...runs, newOnes(), now()]);
    return times;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Infinity;
}

function summary(times: readonly number[]): string {
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentile(times, share).toFixed(1));
  return `${times.length} lookups, p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`;
}

/** Resident memory of a process, MB; 0 where the system does not tell. */
function residentMb(pid: number): number {
  if (Deno.build.os !== "linux") return 0;
  const kb = /^VmRSS:\s*(\d+) kB$/m.exec(proc(pid, "status"))?.[1];
  return Math.round(Number(kb ?? 0) / 1000);
}

function proc(pid: number, file: string): string {
  return new TextDecoder().decode(
    new Deno.Command("cat", { args: [`/proc/${pid}/${file}`] })
      .outputSync().stdout,
  );
}

/** Open files and sockets of a process. */
function descriptors(pid: number): number {
  if (Deno.build.os !== "linux") return 0;
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").length;
}

type Tables = Record<string, Record<string, unknown>[]>;

/** Every row of every table. */
function dump(store: string): Tables {
  const names = [...Deno.readDirSync(store)].map(({ name }) => name);
  const file = names.find((name) => /\.(?:db|sqlite)$/.test(name)) ?? assert.fail(names.join());
  const db = new DatabaseSync(`${store}/${file}`, { readOnly: true });
  try {
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
      .all() as { name: string }[];
    return Object.fromEntries(
      tables.map(({ name }) => [
        name,
        db.prepare(`SELECT * FROM "${name}" ORDER BY 1, 2`).all().map((row) => ({ ...row })),
      ]),
    );
  } finally {
    db.close();
  }
}

/** The same without what honest clients have added meanwhile. */
function without(tables: Tables, newcomers: readonly number[]): Tables {
  const nodes = tables.nodes!.filter(({ id }) => !newcomers.includes(Number(id)));
  const meta = tables.meta!.filter(({ name }) => name !== "sequence").map((row) =>
    row.name === "next_node" ? { ...row, value: Number(row.value) - newcomers.length } : row
  );
  return { ...tables, nodes, meta };
}
