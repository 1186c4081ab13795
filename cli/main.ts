/**
 * From arguments to exit code.
 *
 * @module
 */

import { hintOf } from "./advice_text.ts";
import { CommanderError } from "commander";
import { PilotError } from "../protocol/errors.ts";
import { normalizeArgv } from "./go_flags.ts";
import { CommandFailure, OutputClosed, usageError } from "./command_failure.ts";
import { EXIT_CODES, EXIT_OK } from "./exit_codes.ts";
import type { CliHost } from "./invocation.ts";
import { type Places, unknownCommandHint, withPlaces } from "./hints.ts";
import { errorEnvelope, errorText, makeStyle } from "./output.ts";
import { buildProgram } from "./command_tree.ts";
import { printableLines, show } from "./terminal_text.ts";

export type { CliDriver, CliHost, Connect } from "./invocation.ts";
export type { GatewayRoleOptions, RendezvousRoleOptions, Roles } from "./roles.ts";
export { buildProgram } from "./command_tree.ts";

/**
 * Parses the arguments, runs the command, prints its result or its failure.
 *
 * @param args Arguments without the program's name.
 * @param host The world around it.
 * @returns The exit code. Never throws.
 */
export async function main(
  args: readonly string[],
  host: CliHost,
): Promise<number> {
  let json = args.includes("--json"); // best guess until the tree has looked at it
  let places: Places = {};
  try {
    host.checkRuntime?.();
    const program = buildProgram(host);
    const argv = normalizeArgv(program.root, args);
    ({ json, places } = argv);
    if (args.length === 0) throw usageError("No command given", "See: pilotctl --help");
    await program.root.parseAsync(argv.args, { from: "user" });
    return program.exitCode();
  } catch (thrown) {
    return report(thrown, { json, places, host, args });
  }
}

/** What a failure is reported with. */
interface Reporting {
  readonly json: boolean;
  readonly places: Places;
  readonly host: CliHost;
  readonly args: readonly string[];
}

function report(thrown: unknown, { json, places, host, args }: Reporting): number {
  if (thrown instanceof OutputClosed) return OutputClosed.exitCode;
  if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT_OK; // help, version
  const error = thrown instanceof CommanderError
    ? usageErrorOf(thrown, args)
    : PilotError.from(thrown, "internal");
  const said = hintOf(error);
  const hint = said === undefined ? undefined : withPlaces(said, places, host.env);
  try {
    if (json) {
      show(host.stderr, errorEnvelope(error, hint));
    } else {
      if (error instanceof CommandFailure && error.text) {
        show(host.stdout, error.text);
      }
      const style = makeStyle(host.stderr.isTerminal && !host.env("NO_COLOR"));
      show(host.stderr, errorText(error, style, hint));
      if (error instanceof CommandFailure && error.notes) {
        show(host.stderr, error.notes);
      }
      if (error.code === "internal" && error.cause instanceof Error && error.cause.stack) {
        show(host.stderr, printableLines(error.cause.stack));
      }
    }
  } catch {
    // No output is possible any more, the reader being gone or the disk full; the exit code still says it.
  }
  return EXIT_CODES[error.code];
}

/** Commander's `error: unknown option '--x'` and `(Did you mean --y?)` become message and hint. */
function usageErrorOf(error: CommanderError, args: readonly string[]): PilotError {
  if (error.code === "commander.help") {
    const asked = args.slice(args.indexOf("help") + 1).find((arg) => !arg.startsWith("-"));
    if (args.includes("help") && asked !== undefined) {
      return usageError(`Unknown command '${asked}'`, "Add --help to see them.");
    }
    return usageError("A sub-command is missing", "Add --help to see them.");
  }
  const [first = "", ...rest] = error.message.split("\n");
  const text = first.replace(/^error: /, "");
  const suggestion = rest.join(" ").replace(/^\(|\)$/g, "").trim();
  if (error.code === "commander.unknownCommand") {
    const unknown = /'([^']*)'/.exec(text)?.[1] ?? "";
    const before = args[args.indexOf(unknown) - 1];
    const isSub = before !== undefined && /^(gateway|network|daemon|name)$/.test(before);
    const path = isSub ? `${before} ${unknown}` : unknown;
    return usageError(
      text.slice(0, 1).toUpperCase() + text.slice(1),
      unknownCommandHint(path, suggestion),
    );
  }
  return usageError(
    text.slice(0, 1).toUpperCase() + text.slice(1),
    suggestion === "" ? "Add --help to see the usage." : suggestion,
  );
}
