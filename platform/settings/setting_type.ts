/**
 * Kinds of settings: how a value is written on a command line, in a variable and in `config.json`.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { isLabel } from "../../protocol/label.ts";
import { parseDuration } from "../duration.ts";
import { parseFingerprint } from "../fingerprint.ts";

/** How values of a setting are written. */
export interface SettingType<T> {
  /** Placeholder of the value in help, `host:port`; undefined for switches, which have none. */
  readonly metavar?: string;
  /** What is expected, after the name of the setting: "must look like host:port". */
  readonly expects: string;
  /** All values, where they are few. */
  readonly choices?: readonly string[];
  /** `on`: given or not; `either`: `--x` or `--no-x`. */
  readonly switch?: "on" | "either";
  /** A place of the file system: relative ones start from where they were written down. */
  readonly isPath?: boolean;
  /** Reads text. Throws `invalid_argument`. */
  parse(text: string): T;
  /** Reads a value of a config file. Throws `invalid_argument`. */
  fromJson(value: unknown): T;
  /** Text that {@linkcode SettingType.parse} reads back. */
  format(value: T): string;
}

/** Longest text of a setting, characters: longer than any path or URL that could be used. */
const MAX_TEXT_CHARS = 4_096;

function unfit(expects: string): PilotError {
  return new PilotError("invalid_argument", expects);
}

/** A type whose values are text everywhere. */
function textual<T extends string>(
  options: Omit<SettingType<T>, "parse" | "fromJson" | "format"> & {
    readonly parse: (text: string) => T;
    /** Default: like on a command line. */
    readonly inFile?: (text: string) => T;
  },
): SettingType<T> {
  const { inFile = options.parse, ...type } = options;
  return {
    ...type,
    fromJson: (value) => {
      if (typeof value !== "string") throw unfit("must be a string");
      if (value.length > MAX_TEXT_CHARS) throw unfit("is too long");
      try {
        return inFile(value);
      } catch (error) {
        throw new PilotError("invalid_argument", type.expects, { cause: error });
      }
    },
    format: (value) => value,
  };
}

function checkedEndpoint(text: string, isListen: boolean): string {
  parseEndpoint(text, { isListen });
  return text;
}

/** Where something is reached: `host:port`. */
export const ENDPOINT: SettingType<string> = textual({
  metavar: "host:port",
  expects: "must look like host:port",
  parse: (text) => checkedEndpoint(text, false),
});

/** Where something listens: `host:port`, `:port` for every address, port 0 for a free one. */
export const LISTEN_ENDPOINT: SettingType<string> = textual({
  metavar: "host:port",
  expects: "must look like host:port or :port",
  parse: (text) => checkedEndpoint(text, true),
});

/** Any text. */
export const TEXT: SettingType<string> = textual({
  metavar: "text",
  expects: "must be text",
  parse: (text) => text,
});

/**
 * A path.
 *
 * @param text As given; an empty one is usually a variable that is not set, and would mean another place.
 * @throws {PilotError} `invalid_argument`.
 */
export function parsePath(text: string): string {
  if (text !== "") return text;
  throw new PilotError("invalid_argument", "The path is empty", {
    hint: "Omit the option to use the default.",
  });
}

const PATH = textual({
  metavar: "path",
  isPath: true,
  expects: "must be a path",
  parse: parsePath,
});

/** A file, a directory or a socket. */
export function path(metavar: "path" | "file" | "dir" = "path"): SettingType<string> {
  return { ...PATH, metavar };
}

/**
 * A hostname.
 *
 * @param text For example `my-agent`.
 * @returns The same text.
 * @throws {PilotError} `invalid_argument`; for digits alone, too, which always mean a node number.
 */
export function parseHostname(text: string): string {
  if (text === "") {
    throw new PilotError("invalid_argument", "The hostname is empty", {
      advice: { id: "clear_hostname" },
    });
  }
  if (/^\d+$/.test(text)) {
    throw new PilotError(
      "invalid_argument",
      `"${text}" cannot be a hostname: as a target it always means node ${text}`,
      { hint: "Use a name with a letter in it." },
    );
  }
  if (isLabel(text)) return text;
  throw new PilotError("invalid_argument", `Not a hostname: "${text}"`, {
    hint: "Use 1 to 63 lower-case letters, digits and hyphens; no hyphen at either end.",
  });
}

/** A hostname. In a file any text: the daemon runs without it, and reports why. */
export const HOSTNAME: SettingType<string> = textual({
  metavar: "name",
  expects: "must be a hostname",
  parse: parseHostname,
  inFile: (text) => text,
});

/**
 * A host without a port.
 *
 * @param text For example `rendezvous.example`.
 * @returns The same text.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseHost(text: string): string {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,252}$/u.test(text)) return text;
  throw new PilotError("invalid_argument", `Not a host name: "${text}"`, {
    hint: "Write it without a port: rendezvous.example.",
  });
}

/** A host by name, without a port. */
export const HOST_NAME: SettingType<string> = textual({
  metavar: "host",
  expects: "must be a host name",
  parse: parseHost,
});

/** SHA-256 of a certificate. */
export const FINGERPRINT: SettingType<string> = textual({
  metavar: "hex",
  expects: "must be a SHA-256 fingerprint, 64 hex digits",
  parse: parseFingerprint,
});

/** A key in base64. */
export const BASE64: SettingType<string> = textual({
  metavar: "base64",
  expects: "must be base64",
  parse: (text) => text,
});

/** For example `a, b or c`. */
export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** One of a few words. */
export function choice<T extends string>(metavar: string, choices: readonly T[]): SettingType<T> {
  return textual({
    metavar,
    choices,
    expects: `must be ${orList(choices)}`,
    parse: (text) => {
      const known = choices.find((word) => word === text);
      if (known === undefined) throw unfit(`Must be one of: ${choices.join(", ")}`);
      return known;
    },
  });
}

/** Text of a boolean, as existing programs store it. */
function parseBoolean(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw unfit("must be true or false");
}

function booleanType(form: "on" | "either"): SettingType<boolean> {
  return {
    switch: form,
    expects: "must be true or false",
    parse: parseBoolean,
    fromJson: (value) => {
      if (typeof value === "boolean") return value;
      return parseBoolean(typeof value === "string" ? value : "");
    },
    format: String,
  };
}

/** On when it is given. */
export const SWITCH: SettingType<boolean> = booleanType("on");
/** On, off, or left as it is. */
export const TOGGLE: SettingType<boolean> = booleanType("either");

/** A duration, milliseconds; in a file also a number of seconds. */
export const DURATION: SettingType<number> = {
  metavar: "duration",
  expects: "must be a duration such as 60s",
  parse: parseDuration,
  fromJson: (value) => {
    if (typeof value !== "string" && typeof value !== "number") {
      throw unfit("must be a duration such as 60s");
    }
    return parseDuration(String(value));
  },
  format: (value) => `${value}ms`,
};

/** A whole number within bounds. */
export function integer(metavar: string, least: number, most: number): SettingType<number> {
  const expects = most === Number.MAX_SAFE_INTEGER
    ? `must be a whole number of at least ${least}`
    : `must be a whole number from ${least} to ${most}`;
  const parse = (text: string) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw unfit(`${expects}, not "${text}"`.replace(/^must/, "Must"));
    }
    return value;
  };
  return { metavar, expects, parse, fromJson: (value) => parse(String(value)), format: String };
}
