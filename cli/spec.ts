/**
 * How a command is written down: one table entry from which parsing, `--help`, `context` and the shell
 * completions all follow.
 *
 * @module
 */

import { hintOf } from "./advice_text.ts";
import { type Command, Option } from "commander";
import { PilotError } from "../protocol/errors.ts";
import { usageError } from "./command_failure.ts";
import type { Invocation } from "./invocation.ts";
import type { Outcome } from "./output.ts";
import { PLACES } from "../platform/settings/mod.ts";
import type { OptionSpec } from "./option_spec.ts";
import { settingOptions } from "./setting_options.ts";

/** One command. */
export interface CommandSpec {
  /** Its name. */
  name: string;
  /** One line. */
  summary: string;
  /** Positional arguments, `<target> [port]`. */
  args?: string;
  /** Options besides the global ones. */
  options?: readonly OptionSpec[];
  /** Command lines without the program's name; behind `$ ` whole ones, for pipes. */
  examples?: readonly string[];
  /** Paragraphs below the options in the help. */
  notes?: string;
  /** What `data` holds; shown by `context`. */
  returns: string;
  /** Commands under this one; it runs itself when none of them is named. */
  commands?: readonly CommandSpec[];
  /** Does it. Nothing is printed when it gives nothing back. */
  run(call: Invocation): Promise<Outcome | undefined> | Outcome | undefined;
}

/** Several commands under one heading of the help. */
export interface CommandGroup {
  /** Heading. */
  title: string;
  /** Its commands, or commands with sub-commands. */
  commands: readonly (CommandSpec | CommandFamily)[];
}

/** A command that only has sub-commands. */
export interface CommandFamily {
  /** Its name. */
  name: string;
  /** One line. */
  summary: string;
  /** The sub-commands. */
  commands: readonly CommandSpec[];
}

/** Options that every command takes, before or after its name. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: "--json", description: "Print one JSON object instead of text" },
  ...settingOptions(PLACES),
];

/** Runs a command that has been parsed. */
export type Invoke = (spec: CommandSpec, command: Command) => Promise<void>;

const specs = new WeakMap<Command, CommandSpec>();

/**
 * The table entry a command was made from.
 *
 * @param command A command of the tree.
 * @returns Its entry; undefined for the root and for families.
 */
export function specOf(command: Command): CommandSpec | undefined {
  return specs.get(command);
}

/**
 * Adds the global options to a command.
 *
 * @param command The command.
 */
export function addGlobalOptions(command: Command): void {
  command.optionsGroup("Global options:");
  // Wrappers give some of these, and their callers others: there the last one counts.
  for (const option of GLOBAL_OPTIONS) command.addOption(makeOption(option, true));
  command.helpOption("-h, --help", "Show this help");
}

/**
 * Adds a command or a family of commands.
 *
 * @param parent Where to add it.
 * @param entry The table entry.
 * @param invoke Called when the command line names it.
 */
export function addCommand(
  parent: Command,
  entry: CommandSpec | CommandFamily,
  invoke: Invoke,
): void {
  const command = parent.command(entry.name).summary(entry.summary)
    .description(entry.summary);
  if (!("run" in entry)) {
    for (const child of entry.commands) addCommand(command, child, invoke);
    addGlobalOptions(command);
    command.helpCommand("help [command]", "Show the help of a command");
    return;
  }
  specs.set(command, entry);
  if (entry.args !== undefined) command.arguments(entry.args);
  for (const option of entry.options ?? []) command.addOption(makeOption(option));
  addGlobalOptions(command);
  if (entry.notes !== undefined) command.addHelpText("after", `\n${entry.notes}`);
  const examples = entry.examples ?? [];
  if (examples.length > 0) {
    const lines = examples.map((line) => `  ${exampleLine(line)}`).join("\n");
    command.addHelpText("after", `\nExamples:\n${lines}`);
  }
  for (const child of entry.commands ?? []) addCommand(command, child, invoke);
  const isFamily = entry.commands !== undefined && entry.args === undefined;
  if (isFamily) command.allowExcessArguments(true); // a sub-command that was misspelt
  command.action(() => {
    const [excess] = command.args;
    if (isFamily && excess !== undefined) {
      const names = entry.commands?.map(({ name }) => name).join(", ");
      throw usageError(`Unknown command '${entry.name} ${excess}'`, `There are: ${names}.`);
    }
    return invoke(entry, command);
  });
}

/**
 * An example as it is typed.
 *
 * @param example As in {@linkcode CommandSpec.examples}.
 * @returns The command line.
 */
export function exampleLine(example: string): string {
  return example.startsWith("$ ") ? example.slice(2) : `pilotctl ${example}`;
}

function makeOption(spec: OptionSpec, isOverridable: boolean = false): Option {
  const option = new Option(spec.flags, spec.description);
  const parse = spec.parse ?? spec.collect?.() ?? ((text: string) => text);
  if (option.required || option.optional) {
    option.argParser((text: string, before: unknown) => {
      // Which one counts would be a guess.
      if (before !== undefined && spec.collect === undefined && !isOverridable) {
        throw usageError(`Option ${option.long} is given twice`);
      }
      try {
        return parse(text);
      } catch (error) {
        const cause = PilotError.from(error, "invalid_argument");
        throw usageError(`Option ${option.long}: ${cause.message}`, hintOf(cause));
      }
    });
  }
  return option;
}
