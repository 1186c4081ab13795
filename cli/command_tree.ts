/**
 * The command tree.
 *
 * @module
 */

import { Command } from "commander";
import { VERSION } from "../platform/version.ts";
import { daemonGroup } from "./commands/daemon_commands.ts";
import { diagnosticsGroup } from "./commands/diagnostics_commands.ts";
import { eventsGroup } from "./commands/events_commands.ts";
import { messagesGroup } from "./commands/messages_commands.ts";
import { namesGroup } from "./commands/names_commands.ts";
import { networksGroup } from "./commands/networks_commands.ts";
import { nodeGroup } from "./commands/node_commands.ts";
import { serversGroup } from "./commands/servers_commands.ts";
import { setupGroup } from "./commands/setup_commands.ts";
import { streamsGroup } from "./commands/streams_commands.ts";
import { trustGroup } from "./commands/trust_commands.ts";
import { ERROR_MEANINGS, EXIT_CODES, EXIT_OK } from "./exit_codes.ts";
import { type CliHost, Invocation } from "./invocation.ts";
import { successEnvelope } from "./output.ts";
import { printableLines, show } from "./terminal_text.ts";
import { argumentTerm, ENVIRONMENT } from "./catalog.ts";
import { addCommand, addGlobalOptions, type CommandGroup, type CommandSpec } from "./spec.ts";

/** Every command, in the order of the help. */
export const GROUPS: readonly CommandGroup[] = [
  setupGroup,
  daemonGroup,
  nodeGroup,
  trustGroup,
  messagesGroup,
  eventsGroup,
  networksGroup,
  namesGroup,
  streamsGroup,
  diagnosticsGroup,
  serversGroup,
];

/** Descriptions are wrapped when the terminal leaves them this much room beside the names, columns. */
const MIN_WRAPPED_COLUMNS = 20;

/** A program that is ready to parse. */
export interface Program {
  /** The root of the tree. */
  root: Command;
  /** Exit code of the command that ran. */
  exitCode(): number;
}

/**
 * Builds the command tree. Nothing is printed or run before `root.parseAsync`.
 *
 * @param host The world around it.
 * @returns The tree. Parse errors are thrown as commander's `CommanderError`, failures of commands as they are.
 */
export function buildProgram(host: CliHost): Program {
  let exitCode = EXIT_OK;
  const root = new Command("pilotctl")
    .description("Pilot Protocol: permanent addresses, trust and encrypted streams for agents.")
    .usage("<command> [options]")
    .version(VERSION, "--version", "Show the version")
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => show(host.stdout, printableLines(text)), // help quotes nobody, but stays harmless
      writeErr: () => {}, // errors are thrown; the caller prints them as text or JSON
      getOutHelpWidth: () => host.stdout.columns ?? 100,
      getOutHasColors: () => false,
    });
  root.configureHelp({
    minWidthToWrap: MIN_WRAPPED_COLUMNS,
    // Every command has options: saying so on each line only hides the arguments.
    subcommandTerm: (command) =>
      [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
  });
  const invoke = async (spec: CommandSpec, command: Command) => {
    await using call = new Invocation(host, command);
    const outcome = await spec.run(call);
    if (outcome === undefined) return;
    exitCode = outcome.exitCode ?? EXIT_OK;
    if (outcome.silent) return;
    if (call.json) {
      show(host.stdout, successEnvelope(outcome.data));
    } else if (outcome.text !== undefined && String(outcome.text) !== "") {
      show(host.stdout, outcome.text);
    }
  };
  for (const group of GROUPS) {
    root.commandsGroup(`${group.title}:`);
    for (const entry of group.commands) addCommand(root, entry, invoke);
  }
  addGlobalOptions(root);
  root.helpCommand("help [command]", "Show the help of a command");
  root.addHelpText("after", () => `\n${environmentHelp()}\n\n${exitCodeHelp()}`);
  return { root, exitCode: () => exitCode };
}

function environmentHelp(): string {
  return `Environment (after flags, before the config file):
${wrapped(Object.keys(ENVIRONMENT))}

Targets are an address (0:0000.0000.0005), a node id (5) or a hostname.
Durations are 500ms, 30s, 2m, 1h, or a number of seconds.`;
}

/** Words in lines that fit a terminal. */
function wrapped(words: readonly string[]): string {
  const rows: string[] = [];
  for (const word of words) {
    const row = rows.at(-1);
    if (row !== undefined && row.length + word.length < 76) {
      rows[rows.length - 1] = `${row}, ${word}`;
    } else rows.push(`  ${word}`);
  }
  return rows.join(",\n");
}

function exitCodeHelp(): string {
  const lines = Object.entries(EXIT_CODES).map(([code, exit]) =>
    `  ${String(exit).padStart(3)}  ${code.padEnd(19)} ${
      ERROR_MEANINGS[code as keyof typeof ERROR_MEANINGS].meaning
    }`
  );
  return ["Exit codes:", "    0  ok", ...lines].join("\n");
}
