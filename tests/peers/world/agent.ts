/**
 * One agent: a daemon of ours or of the published release, and command lines of both kinds on its socket.
 *
 * @module
 */

import { join } from "node:path";
import { eventually } from "../../e2e/processes.ts";
import { type PeersWorld, RENDEZVOUS } from "./world.ts";

/** Whose program it is. */
export type Kind = "ours" | "v1.18";

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  // deno-lint-ignore no-explicit-any -- operations look into replies of known shape
  readonly data: any;
}

/** A command under way. */
export interface Running {
  readonly child: Deno.ChildProcess;
  readonly ended: Promise<Ended>;
}

/** An agent. Its home is laid out as both kinds have it, so that either can take it over. */
export class Agent {
  kind: Kind;
  readonly name: string;
  readonly port: number;
  node = 0;
  readonly #world: PeersWorld;
  readonly #flags: readonly string[];
  #child: Deno.ChildProcess | undefined;

  constructor(
    world: PeersWorld,
    options: { kind: Kind; name: string; port: number; flags: readonly string[] },
  ) {
    this.#world = world;
    this.kind = options.kind;
    this.name = options.name;
    this.port = options.port;
    this.#flags = options.flags;
  }

  /** HOME of its programs. */
  get home(): string {
    return this.#world.path(this.name);
  }

  get socket(): string {
    return join(this.home, "pilot.sock");
  }

  /** What the daemon says. */
  get log(): string {
    return this.#world.path(`${this.name}.log`);
  }

  get address(): string {
    return `0:0000.0000.${this.node.toString(16).toUpperCase().padStart(4, "0")}`;
  }

  /** Starts the daemon and waits until it is registered. */
  async start(): Promise<void> {
    const state = join(this.home, ".pilot");
    await Deno.mkdir(state, { recursive: true, mode: 0o700 });
    const { registry, beacon } = RENDEZVOUS;
    const listen = `127.0.0.1:${this.port}`;
    const command = this.kind === "ours"
      ? this.#world.ours(
        ...["daemon", "run", "--home", state, "--socket", this.socket, "--listen", listen],
        ...["--registry", registry, "--beacon", beacon, "--hostname", this.name],
        ...["--log-level", "debug", ...this.#flags],
      )
      : [
        this.#world.published.daemon,
        ...["-identity", join(state, "identity.json"), "-socket", this.socket, "-listen", listen],
        ...["-registry", registry, "-beacon", beacon, "-hostname", this.name],
        ...["-email", `${this.name}@example.com`, "-no-skillinject", "-telemetry-url", ""],
        ...["-motd-feed-url", "", "-log-level", "debug", ...this.#flags],
      ];
    this.#child = this.#world.spawn(this.home, command, { log: this.log });
    this.node = await eventually(`${this.name} registers`, async () => {
      const { code, data } = await this.cli(this.kind, "info");
      const isRegistered = code === 0 && data?.node_id > 0 &&
        (this.kind === "v1.18" || data.registration === "registered");
      return isRegistered ? data.node_id as number : undefined;
    });
  }

  /** Ends the daemon: SIGKILL as a crash does, SIGTERM in order. */
  async kill(signal: Deno.Signal): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.status;
    this.#child = undefined;
  }

  /** Runs a command line on the daemon's socket to its end. */
  async cli(by: Kind, ...args: string[]): Promise<Ended> {
    return await this.begin(by, ...args).ended;
  }

  /** Starts a command line on the daemon's socket. */
  begin(by: Kind, ...args: string[]): Running {
    const command = by === "ours"
      ? this.#world.ours("--json", ...args)
      : [this.#world.published.pilotctl, "--json", ...args];
    const env = { PILOT_SOCKET: this.socket };
    const child = this.#world.spawn(this.home, command, { env });
    return { child, ended: output(child) };
  }

  /** Runs a Python program with the published SDK. */
  async python(program: string, ...args: string[]): Promise<Ended> {
    const { python } = this.#world.published;
    const env = { PYTHONPATH: python, PYTHONDONTWRITEBYTECODE: "1" };
    const command = ["python3", program, this.socket, ...args];
    return await output(this.#world.spawn(this.home, command, { env }));
  }

  /** Lines in which the daemon has said something. */
  async said(text: string): Promise<string[]> {
    return (await Deno.readTextFile(this.log)).split("\n").filter((line) => line.includes(text));
  }

  /** Releases what is held for it. */
  async close(): Promise<void> {
    await this.#child?.status;
  }
}

async function output(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  const [out, err] = [text.decode(stdout), text.decode(stderr)];
  return { code, stdout: out, stderr: err, data: dataOf(code === 0 ? out : err) };
}

/** What an envelope of either kind holds: the data, or the error. */
function dataOf(text: string): unknown {
  try {
    const envelope = JSON.parse(text.trim().split("\n").at(-1)!);
    return envelope.data ?? envelope;
  } catch {
    return undefined; // not one line of JSON: operations that care look at the text
  }
}
