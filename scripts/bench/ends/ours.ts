/**
 * Ours: a rendezvous, and pairs of daemons that trust each other.
 *
 * @module
 */

import { mkdir, mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Driver } from "../../../mod.ts";
import { Program } from "../host/child_program.ts";
import type { Place } from "../host/topology.ts";
import { type Ends, type Setting, startAgent } from "./ends.ts";

const CLI = fileURLToPath(new URL("../../../cli.ts", import.meta.url));
/** Port of the measuring program that listens. */
const PORT = 5001;
/** Pause between looks at the registration, milliseconds. */
const POLL_MS = 10;
/** Longest wait for two daemons to register and trust each other, milliseconds. */
const READY_MS = 20_000;

/** The servers two daemons meet at, as ports of the topology's hub. */
export interface Rendezvous extends AsyncDisposable {
  /** Registry. */
  readonly registry: number;
  /** Beacon. */
  readonly beacon: number;
}

/** Starts the rendezvous at the hub. */
export async function startRendezvous(
  { topology, directory, signal }: Setting,
): Promise<Rendezvous> {
  const { place } = topology.hub;
  const store = await mkdtemp(join(directory, "r-"));
  const program = await startCli("rendezvous", place, store, signal, [
    ...["rendezvous", "--registry-addr", `${place.host}:0`, "--beacon-addr", `${place.host}:0`],
    ...["--store", store],
  ]);
  const port = (address: unknown) => Number(String(address).split(":").at(-1));
  const { registry, beacon } = program.ready;
  return {
    registry: port(registry),
    beacon: port(beacon),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

function startCli(
  name: string,
  place: Place,
  home: string,
  signal: AbortSignal,
  args: readonly string[],
): Promise<Program> {
  return Program.start({
    name,
    place,
    args: ["run", "--quiet", "-A", CLI, ...args, "--json"],
    env: { PILOT_HOME: home },
    signal,
  });
}

/** How to start a pair. */
export interface PairOptions {
  /** Name in the report. */
  readonly name: string;
  /** Flags of both daemons. */
  readonly flags: readonly string[];
  /** Where they meet. */
  readonly rendezvous: Rendezvous;
  /** More flags of both daemons. */
  readonly extraFlags?: readonly string[];
  /** Beacon as each end sees it, when it is not the rendezvous's own. */
  readonly beacons?: readonly [string, string];
}

/** One daemon of a pair. */
export class DaemonEnd implements AsyncDisposable {
  /** Its address; there after {@linkcode start}. */
  address = "";
  /** Its socket and cipher, as it says. */
  detail = "";
  readonly #start: () => Promise<Program>;
  readonly #home: string;
  readonly #signal: AbortSignal;
  #program: Program | undefined;

  /** Not started yet. */
  constructor(home: string, signal: AbortSignal, start: () => Promise<Program>) {
    this.#home = home;
    this.#signal = signal;
    this.#start = start;
  }

  /** Its process. */
  get pid(): number {
    return this.#program!.pid;
  }

  /** How it ended, when it has without a request. */
  get obituary(): string | undefined {
    return this.#program?.obituary;
  }

  /** Its socket. */
  get socket(): string {
    return join(this.#home, "pilot.sock");
  }

  /** Starts it and waits until it is registered. */
  async start(): Promise<void> {
    this.#program = await this.#start();
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(READY_MS)]);
    await using driver = await this.connect();
    for (;;) {
      const info = await driver.info({ signal });
      if (info.registration === "registered") {
        this.address = info.address;
        this.detail = `${info.socket_kind} socket, AES-GCM of ${info.aead}`;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** A connection to it. */
  connect(): Promise<Driver> {
    return connect({ socket: this.socket, name: "bench", signal: this.#signal });
  }

  /** Stops it and starts it again. */
  async restart(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.start();
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
  }
}

/** Two daemons that trust each other. */
export interface Pair extends AsyncDisposable {
  /** The one that dials. */
  readonly a: DaemonEnd;
  /** The one that listens. */
  readonly b: DaemonEnd;
}

/** Starts two daemons and makes them trust each other. */
export async function startPair(setting: Setting, options: PairOptions): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const a = stack.use(await makeDaemon(setting, options, "a"));
  const b = stack.use(await makeDaemon(setting, options, "b"));
  await Promise.all([a.start(), b.start()]);
  await befriend(a, b, setting.signal);
  const owned = stack.move();
  return { a, b, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Starts one daemon, at end a. */
export async function startLoneDaemon(
  setting: Setting,
  options: PairOptions,
): Promise<DaemonEnd> {
  const daemon = await makeDaemon(setting, options, "a");
  try {
    await daemon.start();
    return daemon;
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

/** A daemon with a home of its own, not started yet. */
async function makeDaemon(
  { topology, directory, signal }: Setting,
  { name, rendezvous, beacons, ...options }: PairOptions,
  end: "a" | "b",
): Promise<DaemonEnd> {
  const home = join(await mkdtemp(join(directory, "d-")), "h");
  await mkdir(home, { mode: 0o700 });
  const hub = end === "a" ? topology.hub.forA : topology.hub.forB;
  const beacon = beacons?.[end === "a" ? 0 : 1] ?? `${hub}:${rendezvous.beacon}`;
  const args = [
    ...["daemon", "run", "--log-level", "error"],
    ...["--registry", `${hub}:${rendezvous.registry}`, "--beacon", beacon],
    ...["--listen", `${topology[end].host}:0`],
    ...options.flags,
    ...options.extraFlags ?? [],
  ];
  const start = () => startCli(`daemon ${end} (${name})`, topology[end], home, signal, args);
  return new DaemonEnd(home, signal, start);
}

/**
 * Checks which path the packets of a pair take.
 *
 * @param pair The pair.
 * @param path The path that is wanted.
 * @throws {Error} When they take another path.
 */
export async function checkPath({ a }: Pair, path: "direct" | "relayed"): Promise<void> {
  await using driver = await a.connect();
  const { peer_list: peers } = await driver.info();
  const actual = peers.some(({ relay }) => relay) ? "relayed" : "direct";
  if (actual !== path) throw new Error(`The path between the daemons is ${actual}, not ${path}`);
}

async function befriend(a: DaemonEnd, b: DaemonEnd, signal: AbortSignal): Promise<void> {
  await using driverA = await a.connect();
  await using driverB = await b.connect();
  const nodeOf = async (driver: Driver) => (await driver.info({ signal })).node_id;
  const [nodeA, nodeB] = [await nodeOf(driverA), await nodeOf(driverB)];
  await driverA.trust.request(nodeB, "bench");
  await driverB.trust.request(nodeA, "bench");
  const options = { signal, timeoutMs: READY_MS };
  await Promise.all([
    driverA.trust.waitFor(nodeB, options),
    driverB.trust.waitFor(nodeA, options),
  ]);
}

/** A pair with a measuring program at each end. */
export async function oursEnds(setting: Setting, options: PairOptions): Promise<Ends & Pair> {
  await using stack = new AsyncDisposableStack();
  const pair = stack.use(await startPair(setting, options));
  const { a, b } = pair;
  const start = async (role: "serve" | "dial", self: DaemonEnd, other: DaemonEnd, place: Place) =>
    stack.use(
      await startAgent(role, {
        transport: "pilot",
        socket: self.socket,
        target: other.address,
        port: PORT,
      }, { place, name: options.name, signal: setting.signal }),
    );
  const server = await start("serve", b, a, setting.topology.b);
  const client = await start("dial", a, b, setting.topology.a);
  const carriers = [a.pid, b.pid];
  const owned = stack.move();
  return {
    name: options.name,
    detail: a.detail,
    obituaries: () =>
      [a, b, client, server].map(({ obituary }) => obituary).filter((text) => text !== undefined),
    a,
    b,
    client,
    server,
    pids: [...carriers, client.pid, server.pid],
    carriers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
