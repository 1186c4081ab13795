/**
 * Rendezvous and daemons as real processes inside namespaces.
 *
 * @module
 */

import { join } from "node:path";
import { connect, type Driver, type IpcPeerInfo } from "../../mod.ts";
import { cliArgs, eventually } from "../e2e/processes.ts";
import type { Host, Internet } from "./net/internet.ts";
import { PREFIX } from "./net/leftovers.ts";

/** How often a daemon is asked for its paths: it does not report them unasked. */
const POLL_MS = 100;

/** The processes of one test; disposing it ends them all and removes their homes. */
export class Processes implements AsyncDisposable {
  readonly #net: Internet;
  readonly #dir: string;
  readonly #children = new Set<Deno.ChildProcess>();
  readonly #drains: Promise<void>[] = [];
  readonly #daemons = new Set<Daemon>();
  #rendezvous: Deno.ChildProcess | undefined;

  constructor(net: Internet) {
    this.#net = net;
    this.#dir = Deno.makeTempDirSync({ prefix: PREFIX });
  }

  /** A path in the directory of this test. */
  path(...parts: string[]): string {
    return join(this.#dir, ...parts);
  }

  /** Starts the rendezvous on an address, or an empty text for all; again on the same store. */
  async startRendezvous(host: string = this.#net.rendezvousHost): Promise<void> {
    const child = this.spawn(this.#net.rendezvous, "rendezvous", [
      ...["rendezvous", "--registry-addr", `${host}:9000`, "--beacon-addr", `${host}:9001`],
      ...["--store", this.path("rendezvous"), "--log-level", "error", "--json"],
    ]);
    this.#rendezvous = child;
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    if (done) throw new Error("The rendezvous ended before its ready line");
    reader.releaseLock();
    this.drain(child.stdout);
  }

  /** Ends the rendezvous as a crash does. */
  async killRendezvous(): Promise<void> {
    if (this.#rendezvous !== undefined) await this.end(this.#rendezvous);
    this.#rendezvous = undefined;
  }

  /** Starts a daemon on a host and waits until it is registered. */
  async daemon(name: string, host: Host, ...flags: string[]): Promise<Daemon> {
    const rendezvous = this.#net.rendezvousHost;
    const child = this.spawn(host.namespace, name, [
      ...["daemon", "run", "--registry", `${rendezvous}:9000`, "--beacon", `${rendezvous}:9001`],
      ...["--log-level", "error", ...flags],
    ]);
    this.drain(child.stdout);
    const socket = this.path(name, "pilot.sock");
    const driver = await eventually(
      `daemon ${name} answers`,
      () => connect({ socket }).catch(() => undefined),
    );
    const daemon = new Daemon(this, name, host, child, driver);
    this.#daemons.add(daemon);
    daemon.node = await eventually(`daemon ${name} registers`, async () => {
      const info = await driver.info();
      return info.registration === "registered" ? info.node_id : undefined;
    });
    return daemon;
  }

  /** Starts a program of ours in a namespace. */
  spawn(
    namespace: string,
    home: string,
    args: readonly string[],
    stderr: "inherit" | "piped" = "inherit",
  ): Deno.ChildProcess {
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", namespace, Deno.execPath(), ...cliArgs(...args)],
      // Deno's own question for updates would show in captures.
      env: { PILOT_HOME: this.path(home), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "piped",
      stderr,
    }).spawn();
    this.#children.add(child);
    return child;
  }

  /** Reads away what a process prints, so that it never blocks. */
  drain(stream: ReadableStream<Uint8Array>): void {
    // The pipe breaks when the process is killed.
    this.#drains.push(stream.pipeTo(new WritableStream()).catch(() => {}));
  }

  /** Ends a process that we started. */
  async end(child: Deno.ChildProcess): Promise<void> {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended on its own.
    }
    await child.status;
    this.#children.delete(child);
  }

  /** Forgets a daemon that has ended. */
  forget(daemon: Daemon): void {
    this.#daemons.delete(daemon);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#daemons].map((daemon) => daemon[Symbol.asyncDispose]()));
    await Promise.all([...this.#children].map((child) => this.end(child)));
    await Promise.all(this.#drains);
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** A daemon and a driver connected to it. */
export class Daemon implements AsyncDisposable {
  readonly name: string;
  readonly host: Host;
  readonly driver: Driver;
  node = 0;
  readonly #processes: Processes;
  readonly #child: Deno.ChildProcess;

  constructor(
    processes: Processes,
    name: string,
    host: Host,
    child: Deno.ChildProcess,
    driver: Driver,
  ) {
    this.#processes = processes;
    this.name = name;
    this.host = host;
    this.#child = child;
    this.driver = driver;
  }

  /** What `pilotctl` prints for this daemon with `--json`. */
  // deno-lint-ignore no-explicit-any -- tests look into replies of known shape
  async pilotctl(...args: string[]): Promise<any> {
    const child = this.#processes.spawn(this.host.namespace, this.name, [...args, "--json"]);
    const text = await new Response(child.stdout).text();
    await this.#processes.end(child);
    return JSON.parse(text).data;
  }

  /** What it knows of a peer. */
  async peer(other: Daemon): Promise<IpcPeerInfo | undefined> {
    const { peer_list } = await this.driver.info();
    return peer_list?.find(({ node_id }) => node_id === other.node);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.driver.close();
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#processes.forget(this);
    await this.driver.close();
    await this.#processes.end(this.#child);
  }
}

/**
 * Makes two daemons trust each other: one asks, the other consents. (Two requests that cross would leave one in the
 * registry, and answering it opens a tunnel at a time of its own.)
 */
export async function befriend(a: Daemon, b: Daemon): Promise<void> {
  await a.driver.trust.request(b.node, "nat");
  await eventually(`${b.name} is asked by ${a.name}`, async () => {
    const pending = await b.driver.trust.pending();
    return pending.some(({ node_id }) => node_id === a.node);
  });
  await b.driver.trust.approve(a.node);
  await a.driver.trust.waitFor(b.node, { timeoutMs: 20_000 });
}

/** A path as both ends see it. */
export type Path = "direct" | "relay" | "half direct";

/** What two daemons say of the path between them. */
export async function pathBetween(a: Daemon, b: Daemon): Promise<Path> {
  const [there, back] = await Promise.all([a.peer(b), b.peer(a)]);
  const direct = [there, back].filter((peer) => peer !== undefined && !peer.relay).length;
  return direct === 2 ? "direct" : direct === 1 ? "half direct" : "relay";
}

/** How {@linkcode directWithin} waits. */
export interface DirectOptions {
  /** Longest wait, ms. */
  readonly timeoutMs: number;
  /** Ports of a that b must see; any by default. */
  readonly ports?: { readonly from: number; readonly to: number };
  /** Address of a that b must see; any by default. */
  readonly from?: string;
}

/** Waits until both ends have a direct path; how long that took, ms, or undefined when it did not come in time. */
export async function directWithin(
  a: Daemon,
  b: Daemon,
  { timeoutMs, ports, from }: DirectOptions,
): Promise<number | undefined> {
  const startMs = performance.now();
  const isSeen = async () => {
    const [host, port] = (await b.peer(a))?.endpoint.split(":") ?? [];
    const isPort = ports === undefined || (Number(port) >= ports.from && Number(port) <= ports.to);
    return isPort && (from === undefined || host === from);
  };
  for (;;) {
    const tookMs = performance.now() - startMs;
    if (await pathBetween(a, b) === "direct" && await isSeen()) return tookMs;
    if (tookMs > timeoutMs) return undefined;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
