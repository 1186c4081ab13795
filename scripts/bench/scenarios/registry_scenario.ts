/**
 * `registry`: what a rendezvous does with very many nodes, and what it still knows after `kill -9`.
 *
 * @module
 */

import { mkdtemp, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Data, Program } from "../host/child_program.ts";
import { HAS_PROC, peakMb, residentMb } from "../host/usage.ts";
import type { RegistryClientsConfig } from "../programs/registry_clients.ts";
import type { Figures } from "../bench_report.ts";
import { rounded } from "../percentiles.ts";
import type { Bench, Scenario } from "./scenario.ts";

const CLI = fileURLToPath(new URL("../../../cli.ts", import.meta.url));
const CLIENTS_PROGRAM = fileURLToPath(new URL("../programs/registry_clients.ts", import.meta.url));
const HOST = "127.0.0.1";
/** Length of each timed phase but the registrations, seconds. */
const PHASE_SECONDS = 5;
const WARM_UP_MS = 500;
/** Most nodes that heartbeat and resolve: signing for each takes time before every phase. */
const MAX_SIGNERS = 20_000;
/** Most nodes that are resolved. */
const MAX_TARGETS = 2_000;
/** Most nodes that are registering when the registry is killed. */
const MAX_LATE = 10_000;
/** Nodes registered long before the kill that are looked up after it. */
const SAMPLE = 2_000;
/** Longest wait for a process or a phase: this, and more for each node, milliseconds. */
const PATIENCE_MS = 60_000;
const PATIENCE_MS_PER_NODE = 2;

/** `registry`. */
export const registryScenario: Scenario = {
  about: "a rendezvous with 250,000 nodes: speeds, memory, restart after kill -9",
  byDefault: false,
  isLong: true,
  run: (bench) => new RegistryRun(bench).run(),
};

class RegistryRun {
  readonly #bench: Bench;
  readonly #patienceMs: number;

  constructor(bench: Bench) {
    this.#bench = bench;
    this.#patienceMs = PATIENCE_MS + PATIENCE_MS_PER_NODE * bench.options.nodes;
  }

  async run(): ReturnType<Scenario["run"]> {
    const { nodes } = this.#bench.options;
    const topology = this.#bench.loopback();
    const store = await mkdtemp(join(this.#bench.directory, "r-"));
    await using server = await this.#startServer(store, 0);
    const port = Number(String(server.ready.registry).split(":").at(-1));
    this.#bench.say(`making ${nodes} keys`);
    const late = Math.max(2, Math.min(MAX_LATE, nodes >> 3));
    await using clients = await this.#startClients({
      port,
      nodes,
      late,
      signers: Math.min(MAX_SIGNERS, nodes),
      targets: Math.min(MAX_TARGETS, nodes),
    });
    const speeds = await this.#speeds(server, clients);
    const db_mb = await directoryMb(store);
    const peak = await peakMb([server.pid]) ?? 0;
    this.#bench.say("kill -9");
    const cut = await this.#call(clients, "cut", { pid: server.pid });
    await server[Symbol.asyncDispose]();
    await using again = await this.#startServer(store, port);
    const { at } = await this.#call(clients, "serving");
    const { checked } = await this.#call(clients, "check", { sample: SAMPLE });
    const rss_mb = Math.max(peak, await peakMb([again.pid]) ?? 0);
    const ours: Figures = {
      ...speeds,
      ...(HAS_PROC ? { rss_mb } : {}),
      restart_s: (Number(at) - Number(cut.killedAt)) / 1000,
      db_mb,
    };
    return {
      topology: topology.description,
      ours: roundedAll(ours),
      peers: {},
      notes: [
        `${nodes} nodes, each with a key of its own; every registration, resolve and heartbeat is signed and checked`,
        "a registration is answered when it is on the disk; all run on one machine with their clients",
        `killed while ${late} more registered, ${cut.acknowledged} of them acknowledged; afterwards all of these, ` +
        `the highest number and a sample were looked up: ${checked} found, none lost`,
        "restart: from kill -9 to the first lookup answered, the start of Deno included",
        "RSS is the peak of the server, before or after the restart",
      ],
    };
  }

  async #speeds(server: Program, clients: Program): Promise<Figures> {
    const { nodes, seconds = PHASE_SECONDS } = this.#bench.options;
    const timing = { warmUpMs: WARM_UP_MS, ms: seconds * 1000 };
    const perSecond = async (op: string, args: Data = {}) => {
      this.#bench.say(op);
      const { count, seconds } = await this.#call(clients, op, args);
      return Number(count) / Number(seconds);
    };
    const before = await rss(server);
    const registrations_s = await perSecond("register");
    await this.#call(clients, "publish");
    const lookups_s = await perSecond("lookups", timing);
    const resolves_s = await perSecond("resolves", timing);
    const heartbeats_s = await perSecond("heartbeats", timing);
    const after = await rss(server);
    const kb_per_node = before === undefined || after === undefined
      ? {}
      : { kb_per_node: (after - before) * 1000 / nodes };
    return { registrations_s, lookups_s, resolves_s, heartbeats_s, ...kb_per_node };
  }

  #call(program: Program, op: string, args: Data = {}): Promise<Data> {
    return program.call(op, args, this.#patienceMs);
  }

  /** As people start it, with a store; on a port of its choice or a given one. */
  #startServer(store: string, port: number): Promise<Program> {
    return Program.start({
      name: "rendezvous",
      place: this.#bench.loopback().hub.place,
      args: [
        ...["run", "--quiet", "-A", CLI, "rendezvous", "--store", store, "--json"],
        ...["--registry-addr", `${HOST}:${port}`, "--beacon-addr", `${HOST}:0`],
      ],
      env: { PILOT_HOME: store },
      readyMs: this.#patienceMs,
      signal: this.#bench.signal,
    });
  }

  #startClients(config: RegistryClientsConfig): Promise<Program> {
    return Program.start({
      name: "registry clients",
      place: this.#bench.loopback().a,
      args: ["run", "--quiet", "-A", CLIENTS_PROGRAM, JSON.stringify(config)],
      readyMs: this.#patienceMs,
      signal: this.#bench.signal,
    });
  }
}

async function rss({ pid }: Program): Promise<number | undefined> {
  return HAS_PROC ? (await residentMb([pid]))[0] : undefined;
}

/** Size of all files of a directory, 10^6 bytes. */
async function directoryMb(directory: string): Promise<number> {
  const names = await readdir(directory);
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(directory, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / 1e6;
}

function roundedAll(figures: Figures): Figures {
  return Object.fromEntries(
    Object.entries(figures).map(([key, value]) => [key, rounded(value)]),
  );
}
