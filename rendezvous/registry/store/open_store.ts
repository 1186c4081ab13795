/**
 * Opening a registry database: checked before the first write, then migrated.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { PilotError } from "../../../protocol/errors.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION } from "./schema.ts";

/** SQLite makes its files with the mode of the database file, so that one is created private first. */
export async function ensurePrivateFile(path: string): Promise<void> {
  try {
    const file = await Deno.open(path, { create: true, write: true, read: true, mode: 0o600 });
    file.close();
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot open the registry store ${path}`);
  }
}

/**
 * When the tables of an empty database are made: `unless-lost` not beside the key of a registry, which was there before
 * and so has lost them; `if-empty` wherever there are none; `anew` only there, and a database with tables is refused.
 */
export type Beginning = "unless-lost" | "if-empty" | "anew";

/**
 * Opens a database, creating its tables when it is empty.
 *
 * @param path The file.
 * @param mayBegin Whether they may be created.
 * @returns The database, in WAL mode with full synchronization.
 * @throws {PilotError} `invalid_state` when it is not ours, too new, or lost; `io_error` when it is damaged or cannot be
 * written. The file is left as it is.
 */
export function openDatabase(path: string, mayBegin: boolean): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    if (tableCount(db) > 0) refuseForeign(db, path);
    else if (!mayBegin) throw lost(path);
    const check = db.prepare("PRAGMA quick_check(1)").get();
    if (check?.["quick_check"] !== "ok") {
      throw new Error(String(check?.["quick_check"]).trim());
    }
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF");
    migrate(db, pragma(db, "user_version"));
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof PilotError) throw error;
    throw damaged(path, error);
  }
}

/** Has a database no tables? Throws what SQLite says of a file that is none. */
export function isEmptyDatabase(path: string): boolean {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return tableCount(db) === 0;
  } finally {
    db.close();
  }
}

function tableCount(db: DatabaseSync): number {
  return Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]);
}

/** The error for a registry that was there before and whose database is empty or gone. */
export function lost(path: string): PilotError {
  return new PilotError(
    "invalid_state",
    `The registry's database ${path} is empty or missing although the registry's key exists: its content is lost`,
    {
      advice: { id: "restore_store" },
    },
  );
}

function migrate(db: DatabaseSync, from: number): void {
  for (let version = from; version < SCHEMA_VERSION; version++) {
    db.exec(
      `BEGIN IMMEDIATE; ${MIGRATIONS[version]}
       PRAGMA application_id = ${APPLICATION_ID};
       PRAGMA user_version = ${version + 1}; COMMIT`,
    );
  }
}

/**
 * Refuses a database of another program or of a newer version.
 *
 * @param db The database.
 * @param path Its file.
 * @throws {PilotError} `invalid_state`.
 */
export function refuseForeign(db: DatabaseSync, path: string): void {
  if (pragma(db, "application_id") !== APPLICATION_ID) {
    throw new PilotError(
      "invalid_state",
      `${path} is not a Pilot registry database; nothing was changed`,
      {
        advice: { id: "choose_other", setting: "store" },
      },
    );
  }
  const version = pragma(db, "user_version");
  if (version > SCHEMA_VERSION) {
    throw new PilotError(
      "invalid_state",
      `${path} was written by a newer version (schema ${version}, this program knows ${SCHEMA_VERSION})`,
      { hint: "Nothing was changed. Run the newer version, or restore an older backup." },
    );
  }
}

/** A number that SQLite keeps about a database. */
export function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** The error for a database that cannot be used. */
export function damaged(path: string, cause: unknown): PilotError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PilotError("io_error", `Cannot use the registry store ${path}: ${reason}`, {
    cause,
    hint:
      "Nothing was changed. Check disk space and permissions; if the file is damaged, move it away or restore a backup.",
  });
}
