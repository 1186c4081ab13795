/**
 * Fills an empty store from the snapshot of an existing registry, whole or not at all.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import { errorCode } from "../../../platform/private_files.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { unixSeconds } from "../../../platform/clock.ts";
import { systemClock } from "../../../platform/system_clock.ts";
import { SqliteStore } from "../store/sqlite.ts";
import type { StoreBatch } from "../store/store.ts";
import { BadRecord } from "./record.ts";
import { convertSnapshot, verifyChecksum } from "./snapshot.ts";

/** Largest snapshot that is read, bytes: just below the longest text that V8 makes. */
export const MAX_SNAPSHOT_BYTES = 500 * 1024 * 1024;

/** What to import where. */
export interface ImportOptions {
  /** Directory of the store; it must be new or empty, without a server. */
  store: string;
  /** The snapshot. */
  file: string;
  /** Refuse a snapshot whose checksum is missing or wrong; otherwise that is a warning. */
  requireChecksum: boolean;
}

/** What was imported. */
export interface ImportResult {
  /** Records by kind. */
  counts: Record<string, number>;
  /** What was left out, one sentence each. */
  warnings: string[];
}

/**
 * Imports a snapshot.
 *
 * @param options What and where.
 * @returns What came over.
 * @throws {PilotError} `not_found`, `limit_exceeded` (too large), `invalid_argument` (a record or the checksum),
 * `already_exists` (the store is not empty), `invalid_state` (a server has the store), `io_error`. Nothing is
 * imported then.
 */
export async function importSnapshot(options: ImportOptions): Promise<ImportResult> {
  const bytes = await read(options.file);
  if (isDatabase(bytes)) {
    throw new PilotError("invalid_argument", `Cannot import ${options.file}: it is a database`, {
      advice: { id: "start_on_backup" },
    });
  }
  const warnings: string[] = [];
  const checksum = verifyChecksum(bytes);
  if (checksum !== "good") {
    const text = checksum === "wrong"
      ? "the checksum does not match: the file has been changed or is damaged"
      : "there is no checksum at its end";
    if (options.requireChecksum) throw refusal(options.file, text);
    warnings.push(text);
  }
  const { batch, counts, warnings: left } = convert(bytes, options.file);
  await fill(options.store, batch);
  return { counts, warnings: [...warnings, ...left] };
}

async function read(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > MAX_SNAPSHOT_BYTES) {
      throw new PilotError("limit_exceeded", `${file} is too large for a snapshot (${size} bytes)`);
    }
    return await readFile(file);
  } catch (error) {
    if (errorCode(error) === "ENOENT") {
      throw new PilotError("not_found", `There is no snapshot ${file}`, { cause: error });
    }
    throw PilotError.from(error, "io_error", `Cannot read ${file}`);
  }
}

function convert(bytes: Uint8Array, file: string): ReturnType<typeof convertSnapshot> {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    // Only the place: the parser quotes the text, and there are secrets in it.
    const place = error instanceof Error ? /position \d+/.exec(error.message)?.[0] : undefined;
    throw refusal(file, place === undefined ? "it is not JSON" : `it is not JSON, at ${place}`);
  }
  try {
    return convertSnapshot(document, unixSeconds(systemClock));
  } catch (error) {
    if (error instanceof BadRecord) throw refusal(file, error.message);
    throw error;
  }
}

/** What SQLite files begin with. */
const SQLITE_MAGIC = new TextEncoder().encode("SQLite format 3\0");

function isDatabase(bytes: Uint8Array): boolean {
  return SQLITE_MAGIC.every((byte, i) => bytes[i] === byte);
}

function refusal(file: string, what: string): PilotError {
  return new PilotError("invalid_argument", `Cannot import ${file}: ${what}`, {
    hint:
      "Nothing was imported. A record can be corrected by hand; the checksum then differs, which is only a warning.",
  });
}

/**
 * Writes a batch into an empty store as one transaction: after a crash at any moment the store has all of it or is
 * empty.
 *
 * @param directory The store.
 * @param batch What goes into it.
 * @throws {PilotError} `already_exists` when it is not empty, and as {@linkcode SqliteStore.open} and its commit.
 */
export async function fill(directory: string, batch: StoreBatch): Promise<void> {
  const store = await SqliteStore.open(directory, "if-empty");
  try {
    if (!isEmpty(store)) {
      throw new PilotError(
        "already_exists",
        `The registry store ${directory} is not empty: nothing was imported`,
        {
          advice: { id: "choose_other", setting: "store" },
        },
      );
    }
    await store.commit(batch);
  } finally {
    await store.close();
  }
}

/** Has it never given out a number? */
function isEmpty(store: SqliteStore): boolean {
  let found = false;
  const note = () => {
    found = true;
  };
  const first = (value: number) => {
    if (value !== 1) found = true;
  };
  store.load({
    sequence: (value) => {
      if (value !== 0) found = true;
    },
    nextNode: first,
    node: note,
    trust: note,
    request: note,
    response: note,
    nextNetwork: first,
    network: note,
    member: note,
    invite: note,
    ban: note,
  });
  return !found;
}
