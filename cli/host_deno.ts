/**
 * The world of the CLI in Deno: the standard streams, signals, and how to start itself again.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { PilotError } from "../protocol/errors.ts";
import { checkRuntime } from "../platform/runtime.ts";
import { OutputClosed } from "./command_failure.ts";
import type { CliHost } from "./invocation.ts";
import type { Roles } from "./roles.ts";
import type { OutStream } from "./standard_streams.ts";

/** What differs between programs. */
export interface DenoHostOptions {
  /** URL of the main module. */
  mainModule: string;
  /** The long-running programs. */
  roles: Roles;
}

/** Signals that ask a program to end. */
const INTERRUPTS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];
/** What shells report after Ctrl-C. */
const EXIT_INTERRUPTED = 130;

/**
 * Makes the host of a program run by Deno.
 *
 * @param options The program.
 * @returns The host.
 */
export function denoHost(options: DenoHostOptions): CliHost {
  return {
    checkRuntime,
    roles: options.roles,
    stdout: outStream(Deno.stdout, "standard output"),
    stderr: outStream(Deno.stderr, "standard error"),
    stdin: {
      get isTerminal() {
        return Deno.stdin.isTerminal();
      },
      readable: () => Deno.stdin.readable,
    },
    env: (name) => Deno.env.get(name),
    self: selfCommand(options.mainModule),
    onInterrupt,
  };
}

function outStream(stream: typeof Deno.stdout, name: string): OutStream {
  const encoder = new TextEncoder();
  return {
    write(data) {
      let rest = typeof data === "string" ? encoder.encode(data) : data;
      try {
        while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed();
        throw PilotError.from(error, "io_error", `Cannot write to ${name}`); // usually a full disk
      }
    },
    get isTerminal() {
      return stream.isTerminal();
    },
    get columns() {
      return stream.isTerminal() ? Deno.consoleSize().columns : 100;
    },
  };
}

/** A compiled program starts itself; otherwise Deno needs the script and its permissions. */
function selfCommand(mainModule: string): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const main = mainModule.startsWith("file:") ? fileURLToPath(mainModule) : mainModule;
  return [Deno.execPath(), "run", "--quiet", "--allow-all", "--unstable-net", main];
}

/** The first signal asks politely, the second ends the program at once. */
function onInterrupt(handler: () => void): () => void {
  let isSecond = false;
  const listener = () => {
    if (isSecond) Deno.exit(EXIT_INTERRUPTED);
    isSecond = true;
    handler();
  };
  for (const signal of INTERRUPTS) Deno.addSignalListener(signal, listener);
  return () => {
    for (const signal of INTERRUPTS) Deno.removeSignalListener(signal, listener);
  };
}
