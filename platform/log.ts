/**
 * The log: `key=value` or JSON lines on stderr, through LogTape. Keys and tokens must never be passed to it.
 *
 * @module
 */

import { writeSync } from "node:fs";
import {
  configureSync,
  getJsonLinesFormatter,
  getLogfmtFormatter,
  getLogger,
  type Logger,
  type LogRecord,
  resetSync,
} from "@logtape/logtape";
import { adviceOf, type Advise } from "../protocol/advice.ts";
import { escapeUnsafe } from "../protocol/untrusted_text.ts";
import type { LogFormat, LogLevel } from "./settings/setting_table.ts";

export { getLogger, type Logger };
export type { LogFormat, LogLevel } from "./settings/setting_table.ts";

/** Root category of every logger of this project: `getLogger([LOG_CATEGORY, "tunnel"])`. */
export const LOG_CATEGORY = "pilot";

/** Writes one entry of the structured log: level, message, fields. */
export type Log = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

/** How to log. */
export interface LogOptions {
  /** Least level that is written; default `info`. */
  level?: LogLevel;
  /** Shape of a line; default `text`. */
  format?: LogFormat;
  /** Puts the field `advice` of an entry into words, as its `hint`; default its JSON. */
  advise?: Advise | undefined;
  /** Receives each finished line with its line end; default stderr. */
  write?: ((line: string) => void) | undefined;
}

/**
 * The log of one part, for those that get it handed in.
 *
 * @param part Its name, the second level of the category.
 */
export function logOf(part: string): Log {
  const logger = getLogger([LOG_CATEGORY, part]);
  return (level, message, fields = {}) => logger[level](message, fields);
}

const encoder = new TextEncoder();
const STDERR = 2;

/** Files whose last line may have been cut off by a full disk. */
const torn = new Set<number>();

/**
 * Writes a line and continues whatever happens: nobody may read the output any more, or its disk may be full; neither
 * may end a server. A line that was cut off is ended before the next one, so that it spoils no other.
 *
 * @param file The descriptor.
 * @param line The line without its end.
 */
export function writeAnyway(file: number, line: string): void {
  const start = torn.has(file) ? "\n" : "";
  try {
    writeSync(file, encoder.encode(`${start}${line}\n`));
    torn.delete(file);
  } catch {
    // There is no other output, and how much of the line was written is unknown.
    torn.add(file);
  }
}

/**
 * Prints what went wrong on stderr, for a server that continues whether or not anybody reads it.
 *
 * @param line The line, without its end. What could steer a terminal is escaped.
 */
export function announceTrouble(line: string): void {
  writeAnyway(STDERR, escapeUnsafe(line));
}

/**
 * Sets the log up for this process. May be called again; the last call counts.
 *
 * @param options Level, shape and destination.
 */
export function configureLog(options: LogOptions = {}): void {
  const format = options.format === "json"
    ? getJsonLinesFormatter({ properties: "flatten" })
    : getLogfmtFormatter();
  const { advise = JSON.stringify } = options;
  const write = options.write ?? ((line) => writeAnyway(STDERR, line.slice(0, -1)));
  // The formatters escape what breaks lines, but not all that steers a terminal; addresses and reasons come from peers.
  const lineOf = (record: LogRecord) =>
    `${escapeUnsafe(format(worded(record, advise)).trimEnd())}\n`;
  const level = options.level ?? "info";
  configureSync({
    reset: true,
    sinks: { out: (record: LogRecord) => write(lineOf(record)) },
    loggers: [
      {
        category: LOG_CATEGORY,
        sinks: ["out"],
        lowestLevel: level === "warn" ? "warning" : level,
      },
      { category: ["logtape", "meta"], sinks: ["out"], lowestLevel: "error" },
    ],
  });
}

/** The entry with its advice in words. */
function worded(record: LogRecord, advise: Advise): LogRecord {
  const { advice, ...fields } = record.properties;
  const known = adviceOf(advice);
  return known === undefined
    ? record
    : { ...record, properties: { ...fields, hint: advise(known) } };
}

/** Undoes {@linkcode configureLog}, so that nothing is logged. For tests. */
export function resetLog(): void {
  resetSync();
}
