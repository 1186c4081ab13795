/**
 * What goes to the terminal: the JSON envelope, aligned tables, styles (docs/protocol/command-line.md §3).
 *
 * @module
 */

import { hintOf } from "./advice_text.ts";
import { stripVTControlCharacters, styleText } from "node:util";
import type { PilotError } from "../protocol/errors.ts";
import { CommandFailure } from "./command_failure.ts";
import { lines, printable, safe, safeJson, SafeText } from "./terminal_text.ts";

/** What a command hands back. */
export interface Outcome {
  /** `data` of the JSON envelope. */
  data: object;
  /**
   * The same for people; nothing is printed when absent. A missing line end is added. A plain string is one line of
   * text that may hold anything, see `terminal_text.ts`.
   */
  text?: SafeText | string;
  /** Exit code of a command that did its work and reports a negative result by the code alone; default 0. */
  exitCode?: number;
  /** Print nothing at all, not even the envelope. */
  silent?: boolean;
}

/**
 * The JSON envelope of a success.
 *
 * @param data The result.
 * @returns One line.
 */
export function successEnvelope(data: object): SafeText {
  return safeJson({ status: "ok", data });
}

/**
 * The JSON envelope of a failure.
 *
 * @param error What failed.
 * @param hint In place of the error's own.
 * @returns One line.
 */
export function errorEnvelope(
  error: PilotError,
  hint: string | undefined = hintOf(error),
): SafeText {
  const data = error instanceof CommandFailure ? error.data : undefined;
  return safeJson({
    status: "error",
    code: error.code,
    message: shortened(error.message),
    ...(hint === undefined ? {} : { hint }),
    ...(error.advice === undefined ? {} : { advice: error.advice }),
    ...(data === undefined ? {} : { data }),
  });
}

/**
 * A failure for people.
 *
 * @param error What failed.
 * @param style Styles of the stream it goes to.
 * @param hint In place of the error's own.
 * @returns One or two lines.
 */
export function errorText(
  error: PilotError,
  style: Style,
  hint: string | undefined = hintOf(error),
): SafeText {
  return lines([
    safe`${style.bad("error:")} ${shortened(error.message)}`,
    hint === undefined ? undefined : safe`${style.dim("hint:")}  ${hint}`,
  ]);
}

/** Characters of an error's message that are shown: it may quote an argument of any length. */
const MAX_MESSAGE_LENGTH = 1000;

function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message;
  return `${message.slice(0, MAX_MESSAGE_LENGTH)}... (${message.length} characters)`;
}

/** Text styles that do nothing where they are not wanted. What they are given is made printable. */
export interface Style {
  /** Headings. */
  bold(text: SafeText | string): SafeText;
  /** Less important text. */
  dim(text: SafeText | string): SafeText;
  /** Success. */
  good(text: SafeText | string): SafeText;
  /** Failure. */
  bad(text: SafeText | string): SafeText;
}

/**
 * Styles for a stream.
 *
 * @param enabled A terminal, and NO_COLOR is not set.
 * @returns The styles.
 */
export function makeStyle(enabled: boolean): Style {
  const paint = (format: "bold" | "dim" | "green" | "red") => (text: SafeText | string) => {
    const plain = printable(text);
    return new SafeText(enabled ? styleText(format, plain, { validateStream: false }) : plain);
  };
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    good: paint("green"),
    bad: paint("red"),
  };
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
): SafeText {
  const cells = rows.map((row) => row.map(printable));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => width(row[column] ?? "")))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === row.length - 1 ? cell : pad(cell, widths[i]!))
      .join("  ").trimEnd();
  return lines([style.bold(line(headings)), ...cells.map(line)]);
}

/**
 * Aligned `Name: value` lines.
 *
 * @param pairs Names and values; pairs with an undefined, null or empty value are left out.
 * @returns Lines without a final line end.
 */
export function fields(pairs: readonly (readonly [string, unknown])[]): SafeText {
  const shown = pairs
    .map(([name, value]) => [name, printable(value)] as const)
    .filter(([, value]) => value !== "");
  const longest = Math.max(0, ...shown.map(([name]) => name.length));
  return lines(shown.map(([name, value]) => `${pad(`${name}:`, longest + 1)}  ${value}`));
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
