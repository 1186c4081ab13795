/**
 * A namespace that has only loopback, and in it our rendezvous and agents of both kinds as real processes, every
 * address given on the command line.
 *
 * @module
 */

import { join } from "node:path";
import { run } from "../../../scripts/bench/host/run_command.ts";
import { cliArgs, eventually } from "../../e2e/processes.ts";
import { PREFIX } from "../../nat/net/leftovers.ts";
import { Namespaces } from "../../nat/net/namespaces.ts";
import { Agent, type Kind } from "./agent.ts";
import { fetchPublished, type Published } from "./published.ts";

/** Where the rendezvous listens. */
export const RENDEZVOUS = { registry: "127.0.0.1:9000", beacon: "127.0.0.1:9001" } as const;
const FIRST_PORT = 4001;

/** The world of one test; disposing it ends and removes everything. */
export class PeersWorld implements AsyncDisposable {
  readonly published: Published;
  readonly namespace: string;
  readonly #namespaces: Namespaces;
  readonly #dir: string;
  readonly #denoDir: string;
  readonly #agents: Agent[] = [];
  readonly #children = new Set<Deno.ChildProcess>();
  #rendezvous: Deno.ChildProcess | undefined;
  #blocked = 0;

  private constructor(
    parts: {
      published: Published;
      namespaces: Namespaces;
      namespace: string;
      dir: string;
      denoDir: string;
    },
  ) {
    this.published = parts.published;
    this.namespace = parts.namespace;
    this.#namespaces = parts.namespaces;
    this.#dir = parts.dir;
    this.#denoDir = parts.denoDir;
  }

  /** Fetches the release and starts the rendezvous. */
  static async create(): Promise<PeersWorld> {
    const dir = await Deno.makeTempDir({ prefix: PREFIX });
    const namespaces = new Namespaces();
    try {
      const published = await fetchPublished(dir);
      const { denoDir } = JSON.parse(await run(Deno.execPath(), ["info", "--json"]));
      const namespace = await namespaces.add("peers");
      const world = new PeersWorld({ published, namespaces, namespace, dir, denoDir });
      await world.startRendezvous();
      return world;
    } catch (error) {
      await namespaces[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
      throw error;
    }
  }

  /** A path in the directory of this test. */
  path(...parts: string[]): string {
    return join(this.#dir, ...parts);
  }

  /** Starts a program in the namespace. It sees nothing of our environment. */
  spawn(
    home: string,
    command: readonly string[],
    options: { env?: Record<string, string>; log?: string; stdin?: "null" | "piped" } = {},
  ): Deno.ChildProcess {
    const env: Record<string, string> = {
      HOME: home,
      PATH: Deno.env.get("PATH") ?? "",
      DENO_DIR: this.#denoDir,
      DENO_NO_UPDATE_CHECK: "1",
      NO_COLOR: "1",
      PILOT_REGISTRY: RENDEZVOUS.registry,
      PILOT_BEACON: RENDEZVOUS.beacon,
      ...options.env,
    };
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", this.namespace, ...redirected(command, options.log)],
      clearEnv: true,
      env,
      stdin: options.stdin ?? "null",
      stdout: options.log === undefined ? "piped" : "null",
      stderr: options.log === undefined ? "piped" : "null",
    }).spawn();
    this.#children.add(child);
    void child.status.then(() => this.#children.delete(child));
    return child;
  }

  /** The command line of our CLI. */
  ours(...args: string[]): string[] {
    return [Deno.execPath(), ...cliArgs(...args)];
  }

  /** Starts our rendezvous; again on the same store. */
  async startRendezvous(): Promise<void> {
    const log = this.path("rendezvous.log");
    await Deno.remove(log).catch(() => {}); // there is none the first time
    this.#rendezvous = this.spawn(
      this.path("rendezvous"),
      this.ours(
        ...["rendezvous", "run", "--home", this.path("rendezvous"), "--log-level", "warn"],
        ...["--registry-addr", RENDEZVOUS.registry, "--beacon-addr", RENDEZVOUS.beacon],
      ),
      { log },
    );
    await eventually("the rendezvous is ready", async () => {
      const text = await Deno.readTextFile(log).catch(() => "");
      return text.includes("rendezvous ready") || undefined;
    });
  }

  /** Ends the rendezvous as a crash does. */
  async killRendezvous(): Promise<void> {
    this.#rendezvous?.kill("SIGKILL");
    await this.#rendezvous?.status;
  }

  /** Makes an agent and starts it. */
  async agent(kind: Kind, name: string, ...flags: string[]): Promise<Agent> {
    const port = FIRST_PORT + this.#agents.length;
    const agent = new Agent(this, { kind, name, port, flags });
    this.#agents.push(agent);
    await agent.start();
    return agent;
  }

  /** No datagram passes directly between two agents until it is disposed of. */
  async blocked(a: Agent, b: Agent): Promise<AsyncDisposable> {
    const table = `block${this.#blocked++}`;
    const drop = (from: Agent, to: Agent) => `udp sport ${from.port} udp dport ${to.port} drop`;
    await this.#namespaces.nft(
      this.namespace,
      `table inet ${table} { chain output { type filter hook output priority 0;
        ${drop(a, b)}
        ${drop(b, a)}
      }
      }`,
    );
    const lift = () => this.#namespaces.nft(this.namespace, `delete table inet ${table}`);
    return { [Symbol.asyncDispose]: lift };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = [...this.#children];
    for (const child of children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended on its own.
      }
    }
    await Promise.all(children.map((child) => child.status));
    await Promise.all(this.#agents.map((agent) => agent.close()));
    await this.#namespaces[Symbol.asyncDispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** With a log everything that the program prints goes there, whoever starts it again appends. */
function redirected(command: readonly string[], log: string | undefined): string[] {
  if (log === undefined) return [...command];
  return ["sh", "-c", 'log=$1; shift; exec "$@" >>"$log" 2>&1', "sh", log, ...command];
}
