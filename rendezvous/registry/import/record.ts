/**
 * Reading records of a snapshot: what makes no sense is an error that names the record, what has no place in
 * this registry is left out and counted.
 *
 * @module
 */

import * as v from "valibot";
import { RegistryFailure } from "../failure.ts";
import { parseRfc3339 } from "../rfc3339.ts";
import { isJsonObject } from "../../../protocol/json_object.ts";

/** A record that makes no sense. */
export class BadRecord extends Error {
  /**
   * @param where Which one: `node 17`.
   * @param what What is wrong with it.
   */
  constructor(where: string, what: string) {
    super(`${where}: ${what}`);
    this.name = "BadRecord";
  }
}

/** What was left out, counted by reason. */
export class Notes {
  readonly #left: Map<string, { count: number; example: string }> = new Map();

  /**
   * Counts one thing.
   *
   * @param what Things of a kind and why they were left out, in the plural.
   * @param example This one.
   */
  leave(what: string, example: string): void {
    const entry = this.#left.get(what);
    if (entry === undefined) this.#left.set(what, { count: 1, example });
    else entry.count++;
  }

  /** One sentence per reason. */
  get warnings(): string[] {
    return Array.from(
      this.#left,
      ([what, { count, example }]) => `left out ${count} ${what} (the first: ${example})`,
    );
  }
}

/**
 * Checks a record.
 *
 * @param schema What it must be.
 * @param value What is there.
 * @param where Names it.
 * @returns The record.
 * @throws {BadRecord} Naming the field.
 */
export function parseRecord<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const field = v.getDotPath(issue);
  throw new BadRecord(where, field === null ? issue.message : `${field}: ${issue.message}`);
}

/**
 * Applies a check that requests go through as well.
 *
 * @param where Names the record.
 * @param check The check.
 * @returns Its result.
 * @throws {BadRecord} With the text that a client would see.
 */
export function checkedAs<T>(where: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof RegistryFailure)) throw error;
    throw new BadRecord(where, error.message);
  }
}

/**
 * Reads a number that is the name of a member.
 *
 * @param text Decimal digits.
 * @param max Largest valid number.
 * @param where Names the record.
 * @throws {BadRecord} When it is none.
 */
export function numberOf(text: string, max: number, where: string): number {
  const value = Number(text);
  if (!/^(?:0|[1-9]\d*)$/.test(text) || value > max) throw new BadRecord(where, "not a number");
  return value;
}

/** A whole number within bounds. */
export function whole(
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): v.GenericSchema<number, number> {
  return v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
}

/** An object whose members are looked at later, one by one; null and nothing are empty. */
export const TABLE: v.GenericSchema<unknown, Readonly<Record<string, unknown>>> = v.pipe(
  v.nullish(
    v.custom<Record<string, unknown>>(isJsonObject, "not an object"),
    {},
  ),
);

/** A list whose items are looked at later; null and nothing are empty. */
export const LIST: v.GenericSchema<unknown, readonly unknown[]> = v.pipe(
  v.nullish(v.custom<unknown[]>((value) => Array.isArray(value), "not a list"), []),
);

/** A time as RFC 3339 or Unix seconds, in Unix seconds; Go's zero time and nothing are 0. */
export const TIME: v.GenericSchema<unknown, number> = v.pipe(
  v.nullish(v.union([v.string(), v.number()]), 0),
  v.transform((time) => {
    if (typeof time === "number") return time;
    return time === "" ? 0 : parseRfc3339(time) ?? NaN;
  }),
  v.number("not an RFC 3339 time"),
  v.transform((seconds) => Math.max(0, Math.floor(seconds))),
);

/** Free text; null and nothing are empty. */
export const TEXT: v.GenericSchema<unknown, string> = v.nullish(v.string(), "");
/** A flag; null and nothing are false. */
export const FLAG: v.GenericSchema<unknown, boolean> = v.nullish(v.boolean(), false);
/** Texts; null and nothing are empty. */
export const TEXTS: v.GenericSchema<unknown, string[]> = v.nullish(v.array(v.string()), []);
