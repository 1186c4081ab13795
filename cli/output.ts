/**
 * What goes to the terminal: the JSON envelope, aligned tables, styles (services-cli.md §6.1).
 *
 * @module
 */

import { stripVTControlCharacters, styleText } from "node:util";
import type { PilotError } from "../protocol/errors.ts";
import { CommandFailure } from "./errors.ts";

/** One of the two output streams. */
export interface OutStream {
  /** Writes all of it before returning. @throws {OutputClosed} when the reader has gone. */
  write(data: string | Uint8Array): void;
  /** Whether a person sees it. */
  readonly isTerminal: boolean;
  /** Width in columns, where known. */
  readonly columns?: number;
}

/** The input stream. */
export interface InStream {
  /** Whether a person types it. */
  readonly isTerminal: boolean;
  /** Its bytes. */
  readable(): ReadableStream<Uint8Array>;
}

/** What a command hands back. */
export interface Outcome {
  /** `data` of the JSON envelope. */
  data: Record<string, unknown>;
  /** The same for people; nothing is printed when absent. A missing line end is added. */
  text?: string;
  /** Exit code of a command that did its work and reports a negative result by the code alone; default 0. */
  exitCode?: number;
  /** Print nothing at all, not even the envelope. */
  silent?: boolean;
}

/**
 * The JSON envelope of a success.
 *
 * @param data The result.
 * @returns One line with its line end.
 */
export function successEnvelope(data: Record<string, unknown>): string {
  return JSON.stringify({ status: "ok", data }) + "\n";
}

/**
 * The JSON envelope of a failure.
 *
 * @param error What failed.
 * @returns One line with its line end.
 */
export function errorEnvelope(error: PilotError): string {
  const data = error instanceof CommandFailure ? error.data : undefined;
  return JSON.stringify({
    status: "error",
    code: error.code,
    message: shortened(error.message),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(data === undefined ? {} : { data }),
  }) + "\n";
}

/**
 * A failure for people.
 *
 * @param error What failed.
 * @param style Styles of the stream it goes to.
 * @returns One or two lines.
 */
export function errorText(error: PilotError, style: Style): string {
  const lines = [`${style.bad("error:")} ${printable(shortened(error.message))}`];
  if (error.hint !== undefined) {
    lines.push(`${style.dim("hint:")}  ${printable(error.hint)}`);
  }
  return lines.join("\n") + "\n";
}

/** Characters of an error's message that are shown: it may quote an argument of any length. */
const MAX_MESSAGE_LENGTH = 1000;

function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message;
  return `${message.slice(0, MAX_MESSAGE_LENGTH)}... (${message.length} characters)`;
}

/** Text styles that do nothing where they are not wanted. */
export interface Style {
  /** Headings. */
  bold(text: string): string;
  /** Less important text. */
  dim(text: string): string;
  /** Success. */
  good(text: string): string;
  /** Failure. */
  bad(text: string): string;
}

/**
 * Styles for a stream.
 *
 * @param enabled A terminal, and NO_COLOR is not set.
 * @returns The styles.
 */
export function makeStyle(enabled: boolean): Style {
  const paint = (format: "bold" | "dim" | "green" | "red") => (text: string) =>
    enabled ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    good: paint("green"),
    bad: paint("red"),
  };
}

// deno-lint-ignore no-control-regex -- finding control characters is the purpose
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text from strangers made safe for a terminal: control and direction-changing characters become `?`.
 *
 * @param value Anything; undefined and null become empty.
 * @returns One line of harmless text.
 */
export function printable(value: unknown): string {
  if (value === undefined || value === null) return "";
  return String(value).replace(CONTROL, (char) => char === "\t" ? " " : "?");
}

/**
 * Aligned columns with a heading.
 *
 * @param headings One per column.
 * @param rows Cells; made {@linkcode printable}.
 * @param style For the heading.
 * @returns Lines without a final line end.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly unknown[])[],
  style: Style,
): string {
  const cells = rows.map((row) => row.map(printable));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => width(row[column] ?? "")))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === row.length - 1 ? cell : pad(cell, widths[i]!))
      .join("  ").trimEnd();
  return [style.bold(line(headings)), ...cells.map(line)].join("\n");
}

/**
 * Aligned `Name: value` lines.
 *
 * @param pairs Names and values; pairs with an undefined, null or empty value are left out.
 * @returns Lines without a final line end.
 */
export function fields(pairs: readonly (readonly [string, unknown])[]): string {
  const shown = pairs
    .map(([name, value]) => [name, printable(value)] as const)
    .filter(([, value]) => value !== "");
  const longest = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${pad(`${name}:`, longest + 1)}  ${value}`)
    .join("\n");
}

function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - width(text)));
}

/**
 * A number of things for people.
 *
 * @param count How many.
 * @param noun One of them; its plural ends in s.
 * @returns For example `1 message`, `2 messages`.
 */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * A byte count for people.
 *
 * @param bytes How many.
 * @returns For example `20.0 MiB`.
 */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/**
 * A duration for people.
 *
 * @param seconds How long.
 * @returns `hh:mm:ss`, with days in front when there are any.
 */
export function formatUptime(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const days = Math.floor(total / 86_400);
  const clock = `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${
    two(total % 60)
  }`;
  return days === 0 ? clock : `${days}d ${clock}`;
}

/**
 * A short time for people.
 *
 * @param ms Milliseconds.
 * @returns For example `0.35 ms`, `12 ms`, `3.2 s`; empty when there is none.
 */
export function formatMillis(ms: number | null | undefined): string {
  if (typeof ms !== "number") return "";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;
}

/**
 * Rounds for JSON output, so that figures do not pretend to more than was measured.
 *
 * @param value The figure.
 * @param digits Digits after the point.
 * @returns The rounded figure.
 */
export function round(value: number, digits: number = 3): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
