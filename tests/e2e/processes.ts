/**
 * Real processes for end-to-end tests: a rendezvous and daemons in temporary homes, killed and removed at the end.
 *
 * @module
 */

import { join } from "node:path";
import { connect, type Driver } from "../../mod.ts";

const CLI = new URL("../../cli.ts", import.meta.url).pathname;
const START_TIMEOUT_MS = 30_000;

/** Arguments that run the CLI with this Deno. */
export function cliArgs(...args: string[]): string[] {
  return ["run", "-A", CLI, ...args];
}

/** Waits until a condition holds, looking every 20 ms; for what another process does without telling. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = START_TIMEOUT_MS,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What the CLI printed and how it ended. */
export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
  // deno-lint-ignore no-explicit-any -- tests look into replies of known shape
  data: any;
}

/** A temporary world: one rendezvous, any number of daemons, everything on loopback. */
export class World implements AsyncDisposable {
  readonly dir: string;
  registry = "";
  beacon = "";
  readonly #children = new Set<Deno.ChildProcess>();
  readonly #drains = new Set<Promise<void>>();
  #rendezvous: Deno.ChildProcess | undefined;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Makes the directory and starts the rendezvous. */
  static async create(): Promise<World> {
    const world = new World(await Deno.makeTempDir({ prefix: "pilot-e2e-" }));
    await world.startRendezvous();
    return world;
  }

  /** Starts the rendezvous; the second time on the same ports and store. */
  async startRendezvous(): Promise<void> {
    const child = this.#spawn([
      "rendezvous",
      "--registry-addr",
      this.registry || "127.0.0.1:0",
      "--beacon-addr",
      this.beacon || "127.0.0.1:0",
      "--store",
      join(this.dir, "rendezvous"),
      "--json",
    ], {});
    this.#rendezvous = child;
    const ready = JSON.parse(await this.#firstLine(child));
    this.registry = ready.data.registry;
    this.beacon = ready.data.beacon;
  }

  /** Ends the rendezvous. */
  async stopRendezvous(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    const child = this.#rendezvous!;
    child.kill(signal);
    await child.status;
    this.#children.delete(child);
  }

  /** Starts a daemon in the foreground of a child process and connects to it. */
  async daemon(name: string, ...flags: string[]): Promise<Node> {
    const node = new Node(this, name, flags);
    await node.start();
    return node;
  }

  /** The environment of a node's programs. */
  env(name: string): Record<string, string> {
    return {
      PILOT_HOME: join(this.dir, name),
      PILOT_REGISTRY: this.registry,
      PILOT_BEACON: this.beacon,
      NO_COLOR: "1",
    };
  }

  /** Runs one CLI command for a node. */
  async cli(name: string, ...args: string[]): Promise<CliResult> {
    const output = await new Deno.Command(Deno.execPath(), {
      args: cliArgs(...args, "--json"),
      env: this.env(name),
      stdin: "null",
    }).output();
    const stdout = new TextDecoder().decode(output.stdout);
    const stderr = new TextDecoder().decode(output.stderr);
    const text = output.code === 0 ? stdout : stderr;
    let data;
    try {
      const envelope = JSON.parse(text.trim().split("\n").at(-1)!);
      data = envelope.data ?? envelope;
    } catch {
      data = undefined; // the test's own assertion on the code or text says more
    }
    return { code: output.code, stdout, stderr, data };
  }

  /** Starts a CLI process and leaves it running. */
  spawn(name: string, ...args: string[]): Deno.ChildProcess {
    return this.#spawn(args, this.env(name));
  }

  /** Forgets a child that has ended. */
  forget(child: Deno.ChildProcess): void {
    this.#children.delete(child);
  }

  /** Copies what a process prints to stderr away, so that it never blocks. */
  drain(stream: ReadableStream<Uint8Array>): void {
    const drain = stream.pipeTo(new WritableStream()).catch(() => {})
      .finally(() => this.#drains.delete(drain));
    this.#drains.add(drain);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended on its own.
      }
      await child.status;
    }
    await Promise.all(this.#drains);
    await Deno.remove(this.dir, { recursive: true });
  }

  #spawn(args: string[], env: Record<string, string>): Deno.ChildProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: cliArgs(...args),
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#children.add(child);
    return child;
  }

  async #firstLine(child: Deno.ChildProcess): Promise<string> {
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`The process ended before its ready line: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
    reader.releaseLock();
    this.drain(child.stdout);
    return text.slice(0, text.indexOf("\n"));
  }
}

/** One daemon process and a driver connected to it. */
export class Node implements AsyncDisposable {
  readonly world: World;
  readonly name: string;
  readonly #flags: string[];
  #child: Deno.ChildProcess | undefined;
  #driver: Driver | undefined;

  constructor(world: World, name: string, flags: string[]) {
    this.world = world;
    this.name = name;
    this.#flags = flags;
  }

  /** The connected driver. */
  get driver(): Driver {
    if (this.#driver === undefined) throw new Error(`${this.name} is not running`);
    return this.#driver;
  }

  /** The daemon's process id. */
  get pid(): number {
    return this.#child!.pid;
  }

  /** Its home directory. */
  get home(): string {
    return join(this.world.dir, this.name);
  }

  /** Starts the daemon and waits until it is registered; the time from spawn to the first answer in ms. */
  async start(options: { registered?: boolean } = {}): Promise<number> {
    const startMs = performance.now();
    const flags = ["--listen", "127.0.0.1:0", "--log-level", "error", ...this.#flags];
    this.#child = this.world.spawn(this.name, "daemon", "run", ...flags);
    this.world.drain(this.#child.stdout);
    const socket = join(this.home, "pilot.sock");
    this.#driver = await eventually(`daemon ${this.name} answers`, async () => {
      try {
        return await connect({ socket });
      } catch {
        return undefined;
      }
    });
    const readyMs = performance.now() - startMs;
    if (options.registered !== false) await this.registered();
    return readyMs;
  }

  /** Waits until the daemon is registered and gives its node number. */
  async registered(): Promise<number> {
    return await eventually(`daemon ${this.name} registers`, async () => {
      const info = await this.driver.info();
      return info.registration === "registered" ? info.node_id : undefined;
    });
  }

  /** Its node number. */
  async node(): Promise<number> {
    return (await this.driver.info()).node_id;
  }

  /** Ends the daemon: SIGKILL as a crash does, SIGTERM in order. Gives the exit code. */
  async kill(signal: Deno.Signal): Promise<number> {
    const child = this.#child!;
    child.kill(signal);
    const { code } = await child.status;
    await this.#driver?.close();
    this.world.forget(child);
    this.#child = undefined;
    this.#driver = undefined;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await this.kill("SIGKILL");
  }
}

/** Makes two nodes trust each other. */
export async function befriend(a: Node, b: Node): Promise<void> {
  const [nodeA, nodeB] = [await a.node(), await b.node()];
  await a.driver.trust.request(nodeB, "e2e");
  await b.driver.trust.request(nodeA, "e2e");
  await a.driver.trust.waitFor(nodeB, { timeoutMs: 20_000 });
  await b.driver.trust.waitFor(nodeA, { timeoutMs: 20_000 });
}
