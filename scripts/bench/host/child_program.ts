/**
 * A child process that says it is ready on its first line and then answers requests, one JSON line each.
 *
 * @module
 */

import { eachLine } from "../../lines.ts";
import type { Place } from "./topology.ts";

/** How long a program may take to stop after SIGTERM before it is killed, milliseconds. */
const STOP_MS = 3_000;
/** How long a program may take to get ready, milliseconds. */
const READY_MS = 20_000;
/** Lines of a program's log kept for the case that it fails. */
const LOG_LINES = 12;

/** One JSON object. */
export type Data = Record<string, unknown>;

/** How to start a program. */
export interface ProgramOptions {
  /** What to call it in errors. */
  readonly name: string;
  /** In which namespace. */
  readonly place: Place;
  /** The executable; default this Deno. */
  readonly command?: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** More environment; Pilot settings of ours are never passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it prints a ready line (default) or is ready at once. */
  readonly silent?: boolean;
  /** How long it may take to get ready, milliseconds; default 20 s. */
  readonly readyMs?: number;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** A running program. */
export class Program implements AsyncDisposable {
  /** What its first line said. */
  ready: Data = {};
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #signal: AbortSignal;
  readonly #log: string[] = [];
  readonly #waiting: PromiseWithResolvers<Data>[] = [];
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #reading: Promise<unknown>;
  #ended: string | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(options: ProgramOptions) {
    this.#name = options.name;
    this.#signal = options.signal;
    const { place } = options;
    const line = [options.command ?? Deno.execPath(), ...options.args];
    if (place.namespace !== undefined) line.unshift("ip", "netns", "exec", place.namespace);
    this.#child = new Deno.Command(line[0]!, {
      args: line.slice(1),
      env: { ...environment(), ...options.env },
      clearEnv: true,
      stdin: options.silent ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = options.silent ? undefined : this.#child.stdin.getWriter();
    this.#reading = Promise.all([
      eachLine(this.#child.stdout, (text) => this.#onLine(text)),
      eachLine(this.#child.stderr, (text) => this.#keep(text)),
      this.#child.status.then(({ code, signal }) => this.#onEnd(signal ?? `exit code ${code}`)),
    ]);
  }

  /**
   * Starts a program and waits until it is ready.
   *
   * @param options See {@linkcode ProgramOptions}.
   * @returns The running program.
   * @throws {Error} With the last lines of its log.
   */
  static async start(options: ProgramOptions): Promise<Program> {
    options.signal.throwIfAborted();
    const program = new Program(options);
    if (options.silent) return program;
    try {
      program.ready = await program.#answer(options.readyMs ?? READY_MS);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Its process id. `ip netns exec` becomes the program, so that this holds there too. */
  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended, with the last lines it printed; undefined while it runs. */
  get obituary(): string | undefined {
    return this.#ended === undefined || this.#stopping !== undefined
      ? undefined
      : this.failure(this.#ended).message;
  }

  /**
   * What is wrong with it, as an error.
   *
   * @param what What.
   * @returns With its name and the last lines it printed.
   */
  failure(what: string): Error {
    const log = this.#log.length === 0 ? "" : `\n  ${this.#log.join("\n  ")}`;
    return new Error(`${this.#name}: ${what}${log}`);
  }

  /**
   * Asks it something; one request at a time, others wait.
   *
   * @param op What.
   * @param args With what.
   * @param timeoutMs How long it may take.
   * @returns Its answer.
   * @throws {Error} What it says went wrong.
   */
  async call(op: string, args: Data = {}, timeoutMs = 60_000): Promise<Data> {
    const answer = this.#answer(timeoutMs);
    // Its failure is thrown below; a write to a program that has ended fails first.
    answer.catch(() => {});
    await this.#stdin!.write(new TextEncoder().encode(`${JSON.stringify({ op, ...args })}\n`))
      .catch(() => {
        // The end of the program, with its reason, is what the answer reports.
      });
    return await answer;
  }

  /** Stops it; kills it when that takes too long. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const timer = setTimeout(() => this.#kill("SIGKILL"), STOP_MS);
    this.#kill("SIGTERM");
    await this.#reading;
    clearTimeout(timer);
    await this.#stdin?.abort().catch(() => {
      // The pipe went with the process.
    });
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already, which is what was wanted.
    }
  }

  async #answer(timeoutMs: number): Promise<Data> {
    const waiting = Promise.withResolvers<Data>();
    if (this.#ended !== undefined) throw this.failure(this.#ended);
    this.#waiting.push(waiting);
    const onAbort = () => waiting.reject(this.#signal.reason);
    const timer = setTimeout(
      () => waiting.reject(this.failure(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    this.#signal.addEventListener("abort", onAbort);
    if (this.#signal.aborted) onAbort();
    try {
      return await waiting.promise;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", onAbort);
    }
  }

  #onLine(text: string): void {
    const waiting = text.startsWith("{") ? this.#waiting.shift() : undefined;
    if (waiting === undefined) return this.#keep(text);
    const data = JSON.parse(text) as Data;
    if (typeof data.error === "string") waiting.reject(new Error(`${this.#name}: ${data.error}`));
    else waiting.resolve((data.data ?? data) as Data);
  }

  #onEnd(how: string): void {
    this.#ended = `ended with ${how}`;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.failure(this.#ended));
  }

  #keep(text: string): void {
    this.#log.push(text);
    if (this.#log.length > LOG_LINES) this.#log.shift();
  }
}

function environment(): Record<string, string> {
  const env = Object.entries(Deno.env.toObject()).filter(([name]) => !name.startsWith("PILOT_"));
  return { ...Object.fromEntries(env), NO_COLOR: "1" };
}
