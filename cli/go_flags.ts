/**
 * What has to happen to the arguments before commander sees them: single-dash long flags and Go-style booleans
 * become what commander knows, and it is noted whether `--json` was asked for, even when parsing fails later.
 *
 * @module
 */

import type { Command, Option } from "commander";
import { PLACE_OPTIONS } from "./hints.ts";

/** Normalized arguments. */
export interface Argv {
  /** What commander parses. */
  args: string[];
  /** `--json` was given as an option (not as the value of one). */
  json: boolean;
  /** Values of {@linkcode PLACE_OPTIONS}. */
  places: Record<string, string>;
}

/**
 * Walks the arguments along the command tree.
 *
 * @param program The root command.
 * @param args Arguments as typed.
 * @returns What commander should parse.
 */
export function normalizeArgv(program: Command, args: readonly string[]): Argv {
  const result: Argv = { args: [], json: false, places: {} };
  let command = program;
  let atSubcommand = true;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      result.args.push(...args.slice(i));
      break;
    }
    if (!/^--?[A-Za-z]/.test(arg)) {
      result.args.push(arg);
      const next = atSubcommand ? subcommand(command, arg) : undefined;
      if (next === undefined) atSubcommand = false;
      else command = next;
      continue;
    }
    const { name, value } = splitFlag(arg);
    const option = findOption(command, name);
    if (option?.long === "--json") result.json = true;
    result.args.push(...rewrite(command, option, name, value));
    const following = args[i + 1];
    if (
      option !== undefined && value === undefined && following !== undefined &&
      (option.required || (option.optional && !following.startsWith("-")))
    ) {
      result.args.push(following); // a value, whatever it looks like
      i++;
    }
    const place = name.slice(2);
    const given = value ?? following;
    if (PLACE_OPTIONS.includes(place) && given !== undefined) result.places[place] = given;
  }
  return result;
}

function subcommand(command: Command, name: string): Command | undefined {
  return command.commands.find((child) => child.name() === name || child.aliases().includes(name));
}

/** `-h` stays; `-registry-addr` and `--registry-addr` are the same flag. */
function splitFlag(arg: string): { name: string; value: string | undefined } {
  const equals = arg.indexOf("=");
  const flag = equals < 0 ? arg : arg.slice(0, equals);
  const value = equals < 0 ? undefined : arg.slice(equals + 1);
  const isLong = flag.startsWith("--") || flag.length > 2;
  return { name: isLong ? `--${flag.replace(/^--?/, "")}` : flag, value };
}

function findOption(command: Command, name: string): Option | undefined {
  return command.options.find((option) => option.long === name || option.short === name);
}

const TRUE_TEXTS: readonly string[] = ["true", "1"];
const FALSE_TEXTS: readonly string[] = ["false", "0"];

/** Flags of Go programs may say `-public=true`; commander's boolean options take no value. */
function rewrite(
  command: Command,
  option: Option | undefined,
  name: string,
  value: string | undefined,
): string[] {
  if (value === undefined) return [name];
  const isBoolean = option !== undefined && !option.required && !option.optional;
  if (isBoolean && TRUE_TEXTS.includes(value)) return [name];
  if (isBoolean && FALSE_TEXTS.includes(value)) {
    const opposite = option.negate ? name.replace("--no-", "--") : name.replace("--", "--no-");
    if (findOption(command, opposite) !== undefined) return [opposite];
  }
  return [`${name}=${value}`];
}
