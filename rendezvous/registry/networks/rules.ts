/**
 * Rules of managed networks (docs/protocol/registry.md §4.5): checked and kept in one form, applied by the daemons
 * only.
 *
 * @module
 */

import { isJsonObject, type JsonObject } from "../../../protocol/registry/registry_message.ts";
import { RegistryFailure } from "../failure.ts";
import { MAX_RULES_BYTES } from "./network_limits.ts";

/** Nanoseconds per unit of a Go duration; the micro sign has two code points. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
/** Longest duration text looked at; real ones are like "1h30m". */
const MAX_DURATION_TEXT = 64;
/** Longest duration, nanoseconds: what a signed 64-bit number holds. */
const MAX_DURATION_NS = 2 ** 63;
const MIN_CYCLE_NS = 60e9;

/**
 * Reads a duration as Go writes it: "24h", "1h30m", "-1.5s", "0".
 *
 * @param text The duration.
 * @returns Nanoseconds, rounded as doubles are, or undefined when it is none.
 */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > MAX_DURATION_TEXT) return undefined;
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = /^[+-]/.test(text) ? text.slice(1) : text;
  if (digits === "0") return 0;
  let total = 0;
  let at = 0;
  while (at < digits.length) {
    PART.lastIndex = at;
    const match = PART.exec(digits);
    if (match === null) return undefined;
    total += Number(match[1]) * UNITS[match[2]!]!;
    at = PART.lastIndex;
  }
  return at === 0 || total >= MAX_DURATION_NS ? undefined : sign * total;
}

function invalid(what: string): RegistryFailure {
  return new RegistryFailure("invalid_argument", `invalid rules: ${what}`);
}

/** Reads the field of a request: an object, or JSON in a text. Undefined when there is none. */
function rulesObject(value: unknown): JsonObject | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  let parsed: unknown = value;
  if (typeof value === "string") {
    if (value.length > MAX_RULES_BYTES) throw invalid("too long");
    try {
      parsed = JSON.parse(value);
    } catch {
      throw invalid("not JSON"); // the parser's own text says nothing more that a client needs
    }
  }
  if (parsed === null) return undefined;
  if (!isJsonObject(parsed)) throw invalid("not an object");
  return parsed;
}

/**
 * Checks the rules of a managed network.
 *
 * @param value The `rules` field of a request: an object, or JSON in a text.
 * @returns The known fields as JSON, or "" when there are no rules.
 * @throws {RegistryFailure} When they are malformed.
 */
export function cleanRules(value: unknown): string {
  const rules = rulesObject(value);
  if (rules === undefined) return "";
  const links = whole(rules, "links", 1, Number.MAX_SAFE_INTEGER);
  const clean: JsonObject = {
    links,
    cycle: duration(rules, "cycle", MIN_CYCLE_NS, "at least 1m"),
    prune: whole(rules, "prune", 0, links),
    prune_by: oneOf(rules, "prune_by", ["score", "age", "activity"]),
    fill: whole(rules, "fill", 0, links),
    fill_how: oneOf(rules, "fill_how", ["random"]),
  };
  if (field(rules, "grace") !== undefined && field(rules, "grace") !== "") {
    clean["grace"] = duration(rules, "grace", 0, "not negative");
  }
  return JSON.stringify(clean);
}

function field(rules: JsonObject, name: string): unknown {
  return Object.hasOwn(rules, name) ? rules[name] : undefined;
}

function whole(rules: JsonObject, name: string, min: number, max: number): number {
  const value = field(rules, name) ?? 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to links`;
    throw invalid(`${name} must be an integer ${range}`);
  }
  return value;
}

function duration(rules: JsonObject, name: string, min: number, range: string): string {
  const value = field(rules, name);
  const ns = typeof value === "string" ? parseGoDuration(value) : undefined;
  if (typeof value !== "string" || ns === undefined || ns < min) {
    throw invalid(`${name} must be a duration such as "24h", ${range}`);
  }
  return value;
}

function oneOf(rules: JsonObject, name: string, choices: readonly string[]): string {
  const value = field(rules, name);
  if (typeof value !== "string" || !choices.includes(value)) {
    throw invalid(`${name} must be ${choices.join(", ")}`);
  }
  return value;
}
