/**
 * The programs of the demo as processes of their own, started by the same Deno: servers that run until they are
 * stopped, and single commands as a user would type them.
 *
 * @module
 */

import { eachLine } from "../lines.ts";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));
/** How long a program may take to stop after SIGTERM before it is killed, milliseconds. */
const STOP_MS = 5_000;
/** How long a program may take to print its ready line, milliseconds. */
const READY_MS = 15_000;
/** Lines of a program's log kept for the case that it fails. */
const LOG_LINES = 20;

/** `data` of a command's JSON envelope. */
export type Data = Record<string, unknown>;

/** The environment of a program: ours without any Pilot setting. */
function environment(home: string): Record<string, string> {
  const env = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("PILOT_"));
  return { ...Object.fromEntries(env), PILOT_HOME: home };
}

function command(home: string, args: readonly string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", CLI, ...args, "--json"],
    env: environment(home),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** A server: rendezvous or daemon. */
export class Server implements AsyncDisposable {
  /** What it said when it was ready. */
  ready: Data = {};
  /** From the start of the process to the ready line, milliseconds. */
  readyMs = 0;
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #log: string[] = [];
  readonly #reading: Promise<unknown>;
  #stopping: Promise<void> | undefined;

  private constructor(name: string, child: Deno.ChildProcess, onReady: (line: string) => void) {
    this.#name = name;
    this.#child = child;
    this.#reading = Promise.all([
      eachLine(child.stdout, onReady),
      eachLine(child.stderr, (line) => {
        this.#log.push(line);
        if (this.#log.length > LOG_LINES) this.#log.shift();
      }),
    ]);
  }

  /**
   * Starts a server and waits for its ready line.
   *
   * @param name What to call it in errors.
   * @param home Its home directory.
   * @param args Arguments of the CLI.
   * @param signal Gives up.
   * @returns The running server.
   */
  static async start(
    name: string,
    home: string,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<Server> {
    signal.throwIfAborted();
    const started = performance.now();
    const line = Promise.withResolvers<string>();
    const server = new Server(name, command(home, args).spawn(), line.resolve);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]);
    const abort = () => line.reject(limit.reason);
    limit.addEventListener("abort", abort);
    try {
      const ended = server.#child.status.then(({ code }) => {
        throw new Error(`ended with exit code ${code}`);
      });
      const text = await Promise.race([line.promise, ended]);
      server.readyMs = performance.now() - started;
      server.ready = envelope(text);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw new Error(`${name} did not start: ${reason(error)}${server.#logTail()}`);
    } finally {
      limit.removeEventListener("abort", abort);
    }
  }

  /** Stops it in order; kills it when that takes too long. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_MS);
    this.#signal("SIGTERM");
    await this.#child.status;
    clearTimeout(timer);
    await this.#reading;
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended already, which is what was wanted.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #logTail(): string {
    return this.#log.length === 0
      ? ""
      : `\nlast log lines of ${this.#name}:\n  ${this.#log.join("\n  ")}`;
  }
}

/**
 * Runs one command of the CLI with `--json`.
 *
 * @param home Home directory of the user.
 * @param args The command line.
 * @param signal Kills it.
 * @returns `data` of its answer.
 */
export async function pilotctl(
  home: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Data> {
  signal.throwIfAborted();
  await using child = command(home, args).spawn();
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const { success, stdout, stderr } = await child.output();
    signal.throwIfAborted();
    return envelope(lastLine(success ? stdout : stderr));
  } catch (error) {
    throw new Error(`pilotctl ${args.join(" ")}: ${reason(error)}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function lastLine(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trimEnd().split("\n").at(-1)!;
}

/** `data` of a success; a failure is thrown. */
function envelope(text: string): Data {
  if (!text.startsWith("{")) throw new Error(text === "" ? "no answer" : text);
  const { status, data, message, hint } = JSON.parse(text);
  if (status === "ok") return data;
  throw new Error(hint === undefined ? message : `${message} (${hint})`);
}

/** What an error says. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
