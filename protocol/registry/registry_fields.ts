/**
 * Reading the fields of JSON objects as the registry does (docs/protocol/registry.md §1.3): leniently, and only the
 * object's own.
 *
 * @module
 */

import { isJsonObject, type JsonObject } from "../json_object.ts";

export { isJsonObject, type JsonObject };

/**
 * How one kind of field is read.
 *
 * @typeParam T What it holds.
 */
export interface FieldKind<T> {
  /** Reads a value; undefined for one that is missing or wrong. */
  readonly read: (value: unknown) => T | undefined;
  /** Placeholder for such a value. */
  readonly missing: T;
}

/**
 * Reads one field.
 *
 * @param message The object.
 * @param name The field.
 * @param kind Its kind.
 * @returns Its value, or the placeholder for a missing one.
 */
export function readField<T>(message: object, name: string, kind: FieldKind<T>): T {
  const value = Object.hasOwn(message, name) ? (message as JsonObject)[name] : undefined;
  const read = kind.read(value);
  return read === undefined ? kind.missing : read;
}

/**
 * A whole number from 0; fractions are cut.
 *
 * @param max Largest valid value; what is above it counts as missing.
 * @returns The kind.
 */
export function wholeUpTo(max: number): FieldKind<number> {
  return {
    read: (value) => {
      if (typeof value !== "number") return undefined;
      const whole = Math.trunc(value);
      return whole > 0 && whole <= max ? whole : whole === 0 ? 0 : undefined;
    },
    missing: 0,
  };
}

/** Node numbers, and others of 32 bits. */
export const NODE: FieldKind<number> = wholeUpTo(0xffffffff);
/** Network numbers, 16 bits. */
export const NETWORK: FieldKind<number> = wholeUpTo(0xffff);
/** Counts and times. */
export const COUNT: FieldKind<number> = wholeUpTo(Number.MAX_SAFE_INTEGER);

/** Numbers of either sign; fractions are cut. */
export const SIGNED: FieldKind<number> = {
  read: (value) =>
    typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) + 0 : undefined,
  missing: 0,
};

/** A text. */
export const TEXT: FieldKind<string> = {
  read: (value) => typeof value === "string" ? value : undefined,
  missing: "",
};

/** A flag. */
export const FLAG: FieldKind<boolean> = {
  read: (value) => value === true || (value === false ? false : undefined),
  missing: false,
};

/** Texts; what is none is left out. */
export const TEXTS: FieldKind<readonly string[]> = {
  read: (value) =>
    Array.isArray(value)
      ? (value as unknown[]).filter((item) => typeof item === "string")
      : undefined,
  missing: [],
};

/** Anything: its user reports what is wrong with it. */
export const ANYTHING: FieldKind<unknown> = { read: (value) => value, missing: undefined };

/**
 * A kind whose missing value shows that it is missing.
 *
 * @param kind How it is read when it is there.
 * @returns The kind.
 */
export function optional<T>(kind: FieldKind<T>): FieldKind<T | undefined> {
  return { read: kind.read, missing: undefined };
}

/**
 * A kind that null is a value of.
 *
 * @param kind How anything else is read.
 * @returns The kind.
 */
export function orNull<T>(kind: FieldKind<T>): FieldKind<T | null> {
  return { read: (value) => value === null ? null : kind.read(value), missing: kind.missing };
}

/**
 * A list; what is not of the kind is left out.
 *
 * @param kind Of its items.
 * @returns The kind.
 */
export function listOf<T>(
  kind: Pick<FieldKind<T | undefined>, "read">,
): FieldKind<readonly T[]> {
  return {
    read: (value) =>
      Array.isArray(value)
        ? (value as unknown[]).map(kind.read).filter((item) => item !== undefined)
        : undefined,
    missing: [],
  };
}

/**
 * Reads a number field as the registry does (§1.3): fractions are cut; a missing, wrong or out-of-range value is 0.
 *
 * @param message The request.
 * @param name The field.
 * @param max Largest valid value, for example 0xffffffff for node numbers.
 * @returns 0..max.
 */
export function numberField(message: JsonObject, name: string, max: number = 0xffffffff): number {
  return readField(message, name, max === 0xffffffff ? NODE : wholeUpTo(max));
}

/**
 * Reads a text field; a missing or wrong value is empty.
 *
 * @param message The request.
 * @param name The field.
 * @returns The text.
 */
export function textField(message: JsonObject, name: string): string {
  return readField(message, name, TEXT);
}

/**
 * Reads a flag; a missing or wrong value is false.
 *
 * @param message The request.
 * @param name The field.
 * @returns The flag.
 */
export function flagField(message: JsonObject, name: string): boolean {
  return readField(message, name, FLAG);
}

/**
 * Reads a list of texts, leaving out what is not text; a missing or wrong value, or null, is empty.
 *
 * @param message The request or reply.
 * @param name The field.
 * @returns The texts, a list of the caller's own.
 */
export function textListField(message: JsonObject, name: string): string[] {
  return [...readField(message, name, TEXTS)];
}

/**
 * Reads a list of objects, leaving out what is none; a missing or wrong value, or null, is empty.
 *
 * @param message The request or reply.
 * @param name The field.
 * @returns The objects.
 */
export function objectListField(message: JsonObject, name: string): JsonObject[] {
  const value = Object.hasOwn(message, name) ? message[name] : undefined;
  return Array.isArray(value) ? (value as unknown[]).filter(isJsonObject) : [];
}
