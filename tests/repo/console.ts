/**
 * Runs the `console` blocks of a Markdown file in one shell and compares what is printed with what is written.
 *
 * @module
 */

import { chmodSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "./sources.ts";

/** Where Deno keeps what it has downloaded: it must not be looked for in the home of a tour. */
function denoDir(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/**
 * Puts `pilotctl` into the home directory of a tour.
 *
 * @param home The directory.
 * @returns The environment of a shell that has it on its path.
 */
export function installIn(home: string): Record<string, string> {
  const path = join(home, "pilotctl");
  const args = `run --quiet --allow-all "${join(ROOT, "cli.ts")}"`;
  writeFileSync(path, `#!/bin/sh\nexec "${Deno.execPath()}" ${args} "$@"\n`);
  chmodSync(path, 0o755);
  return {
    HOME: home,
    DENO_DIR: denoDir(),
    PATH: `${home}:${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
    NO_COLOR: "1",
  };
}

/** A command of a `console` block. */
export interface ConsoleStep {
  /** The command line. */
  readonly command: string;
  /** Lines below it. */
  readonly output: readonly string[];
}

/**
 * The commands of all `console` blocks.
 *
 * @param markdown The text.
 * @returns The steps in order.
 */
export function consoleSteps(markdown: string): ConsoleStep[] {
  const steps: { command: string; output: string[] }[] = [];
  for (const [, block] of markdown.matchAll(/^```console\n([^]*?)^```$/gm)) {
    for (const line of block!.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), output: [] });
      else steps.at(-1)!.output.push(line);
    }
  }
  return steps;
}

/**
 * A line without what differs from run to run: numbers, ids, hashes, keys, units, places, widths.
 *
 * @param line A line of output.
 * @param home The home directory of the run.
 * @returns Its shape.
 */
export function shapeOf(line: string, home: string): string {
  return line
    .replaceAll(home, "HOME").replaceAll("/home/you", "HOME")
    .replace(/\b[0-9a-f]{64}\b/g, "HASH")
    .replace(/[A-Za-z0-9+/]{43}=/g, "KEY")
    .replace(/key=[A-Za-z0-9_-]{43}/g, "key=KEY")
    .replace(/\d+(?:[.:,T-]\d+)*Z?/g, "N")
    .replace(/\bN (?:ms|s)\b/g, "TIME")
    .replace(/\bN (?:[KMG]i?)?B\b/g, "SIZE")
    .replace(/\s+/g, " ")
    .trim();
}

/** A shell that runs one command after the other and tells what each printed. */
export class Shell implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;
  #count = 0;

  /**
   * @param cwd Where it starts.
   * @param env Its whole environment.
   */
  constructor(cwd: string, env: Record<string, string>) {
    this.#child = new Deno.Command("bash", {
      args: ["--norc", "--noprofile"],
      cwd,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = linesOf(this.#child.stdout);
  }

  /**
   * Runs a command.
   *
   * @param command The command line. One that ends in `&` continues in the background.
   * @param expected Lines to wait for from a command in the background.
   * @returns What it printed, errors included, and its exit code.
   */
  async run(command: string, expected = 0): Promise<{ output: string[]; code: number }> {
    const mark = `=== ${++this.#count}`;
    const output: string[] = [];
    await this.#type(`{ ${command}\n} 2>&1 </dev/null\n`);
    if (command.endsWith("&")) {
      while (output.length < expected) output.push(await this.#line());
    }
    await this.#type(`echo "${mark} $?"\n`);
    for (;;) {
      const line = await this.#line();
      if (line.startsWith(mark)) return { output, code: Number(line.slice(mark.length + 1)) };
      output.push(line);
    }
  }

  /** Ends what runs in the background, then the shell. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#type("kill $(jobs -p) 2>/dev/null; wait; exit\n");
    await this.#input.close();
    for await (const _line of this.#lines); // until the last process has closed it
    await this.#child.status;
  }

  async #type(text: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(text));
  }

  async #line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("The shell has ended");
    return value;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
