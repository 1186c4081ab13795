/**
 * The command tree as data: what `context` prints and completion scripts are made from.
 *
 * @module
 */

import type { Argument, Command } from "commander";
import type { ErrorCode } from "../protocol/errors.ts";
import { DAEMON, PLACES } from "../platform/settings/mod.ts";
import { GATEWAY, RENDEZVOUS, SECRETS } from "../platform/settings/server_table.ts";
import { environmentOf } from "../platform/settings/setting.ts";
import { VERSION } from "../platform/version.ts";
import { ERROR_MEANINGS, EXIT_CODES } from "./exit_codes.ts";
import { exampleLine, GLOBAL_OPTIONS, specOf } from "./spec.ts";

/** One command. */
export interface CatalogCommand {
  /** Positional arguments, `<target>`, `[port]`. */
  args: string[];
  /** Options besides the global ones: flags and meaning. */
  options: { flags: string; description: string }[];
  /** What it does. */
  description: string;
  /** What `data` holds. */
  returns: string;
  /** Example command lines. */
  examples: string[];
}

/** Everything. */
export interface Catalog extends Record<string, unknown> {
  /** Version of the program. */
  version: string;
  /** By full name, `daemon start`. */
  commands: Record<string, CatalogCommand>;
  /** Meaning, exit code and whether a retry can help, by error code. */
  error_codes: Record<string, { description: string; exit_code: number; retry: boolean }>;
  /** Options of every command. */
  global_flags: Record<string, string>;
  /** Environment variables. */
  environment: Record<string, string>;
  /** Where the config file is. */
  config_file: string;
}

/** Every variable that is read, and what for. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  ...environmentOf(PLACES, DAEMON, RENDEZVOUS, GATEWAY, SECRETS),
  XDG_RUNTIME_DIR: "Where the common socket is, for programs that do not know homes",
  NO_COLOR: "No colors",
};

/**
 * Describes a command tree.
 *
 * @param root Its root.
 * @returns The description.
 */
export function catalog(root: Command): Catalog {
  const commands: Record<string, CatalogCommand> = {};
  collect(root, "", commands);
  const codes = Object.keys(EXIT_CODES) as ErrorCode[];
  return {
    version: VERSION,
    commands,
    error_codes: Object.fromEntries(codes.map((code) => [code, {
      description: ERROR_MEANINGS[code].meaning,
      exit_code: EXIT_CODES[code],
      retry: ERROR_MEANINGS[code].retry,
    }])),
    global_flags: Object.fromEntries(
      GLOBAL_OPTIONS.map(({ flags, description }) => [flags, description]),
    ),
    environment: ENVIRONMENT,
    config_file: "<home>/config.json",
  };
}

function collect(
  command: Command,
  prefix: string,
  into: Record<string, CatalogCommand>,
): void {
  const globals = GLOBAL_OPTIONS.map(({ flags }) => flags);
  for (const child of command.commands) {
    const name = `${prefix}${child.name()}`;
    const spec = specOf(child);
    if (spec === undefined) {
      collect(child, `${name} `, into);
      continue;
    }
    // Set before those of its sub-commands, so that they follow it.
    into[name] = {
      args: child.registeredArguments.map(argumentTerm),
      options: child.options.filter(({ flags }) => !globals.includes(flags))
        .map(({ flags, description }) => ({ flags, description })),
      description: spec.summary,
      returns: spec.returns,
      examples: (spec.examples ?? []).map(exampleLine),
    };
    collect(child, `${name} `, into);
  }
}

/**
 * A positional argument as help shows it.
 *
 * @param argument The argument.
 * @returns `<target>`, `[port]`, `<tag...>`.
 */
export function argumentTerm(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? "..." : "");
  return argument.required ? `<${name}>` : `[${name}]`;
}
