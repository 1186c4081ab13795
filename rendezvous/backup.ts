/**
 * A consistent copy of a registry's store, made by another process while the server writes.
 *
 * The copy is one read transaction of SQLite (its online backup, all pages in one step): in WAL mode it sees
 * everything that was committed before it began, and neither waits for the server nor makes it wait. The lock on
 * the store directory is about servers, so the backup does not take it.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { errorCode, exists, PRIVATE_FILE_MODE, syncDirectory } from "../platform/private_files.ts";
import { PilotError } from "../protocol/errors.ts";
import { pragma, refuseForeign } from "./registry/store/open_store.ts";
import { DATABASE_FILE } from "./registry/store/sqlite.ts";

/** Pages per step: all of them. Between steps a server's commit would make the copy start over, without end. */
const ALL_PAGES = 0x7fffffff;
/** How long the copy waits while a server opens or closes the database, milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** What to copy where. */
export interface BackupOptions {
  /** Directory of the store. */
  store: string;
  /** The file to make; its directory must exist. */
  file: string;
  /** Replace a file that is there. */
  force: boolean;
}

/** What a backup holds. */
export interface BackupResult {
  /** Bytes of the file. */
  bytes: number;
  /** Nodes in it, in any state. */
  nodes: number;
  /** Schema version of the database. */
  schema: number;
}

/**
 * Copies a store into one file (mode 0600) that can be used as the database of another store. The file has its
 * name only when it is whole, checked and on the disk.
 *
 * @param options What and where.
 * @returns What is in it.
 * @throws {PilotError} `not_found` (no store there), `already_exists` (without `force`), `invalid_argument` (the
 * file is part of the store), `invalid_state` (not ours, or from a newer version), `io_error`.
 */
export async function backupStore(options: BackupOptions): Promise<BackupResult> {
  const source = join(options.store, DATABASE_FILE);
  if (!await exists(source)) {
    throw new PilotError("not_found", `There is no registry store in ${options.store}`, {
      advice: { id: "give_setting", setting: "store" },
    });
  }
  const target = await targetOf(options.file);
  await refusePartOfStore(source, target);
  await refuseExisting(target, options.force);
  const suffix = randomBytes(6).toString("hex");
  const temporary = join(dirname(target), `.${basename(target)}.${suffix}.tmp`);
  try {
    await createPrivate(temporary);
    await copy(source, temporary);
    const checked = check(temporary);
    const bytes = await flush(temporary);
    await refuseExisting(target, options.force); // it may have come meanwhile
    await rename(temporary, target);
    await syncDirectory(dirname(target));
    return { bytes, ...checked };
  } catch (error) {
    // The backup has failed already; leftovers are the smaller problem.
    for (const end of ["", "-journal", "-wal", "-shm"]) {
      await rm(temporary + end, { force: true }).catch(() => {});
    }
    throw PilotError.from(error, "io_error", `Cannot back up ${source} to ${options.file}`);
  }
}

/** Where the bytes go: a symbolic link stays one. */
async function targetOf(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") {
      throw PilotError.from(error, "io_error", `Cannot write ${file}`);
    }
  }
  try {
    return join(await realpath(dirname(resolve(file))), basename(file));
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot write ${file}`);
  }
}

async function refusePartOfStore(source: string, target: string): Promise<void> {
  const database = await realpath(source);
  if (![database, `${database}-wal`, `${database}-shm`].includes(target)) return;
  throw new PilotError("invalid_argument", `${target} is part of the store itself`, {
    hint: "Choose a file outside the store directory.",
  });
}

async function refuseExisting(target: string, force: boolean): Promise<void> {
  if (force || !await exists(target)) return;
  throw new PilotError("already_exists", `${target} already exists`, {
    advice: { id: "replace_file" },
  });
}

async function createPrivate(path: string): Promise<void> {
  const file = await open(path, "wx", PRIVATE_FILE_MODE);
  await file.close();
}

async function copy(source: string, temporary: string): Promise<void> {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(source, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    refuseForeign(db, source);
    await backup(db, temporary, { rate: ALL_PAGES });
  } finally {
    db?.close();
  }
}

/** Reads the copy whole, and makes it a single file without a WAL beside it. */
function check(path: string): { nodes: number; schema: number } {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA journal_mode = DELETE");
    const result = db.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
    if (result !== "ok") throw new PilotError("io_error", `The copy is damaged: ${String(result)}`);
    refuseForeign(db, path);
    const nodes = Number(db.prepare("SELECT count(*) AS n FROM nodes").get()?.["n"]);
    return { nodes, schema: pragma(db, "user_version") };
  } finally {
    db.close();
  }
}

/** Makes the bytes durable. */
async function flush(path: string): Promise<number> {
  const file = await open(path, "r+");
  try {
    await file.chmod(PRIVATE_FILE_MODE);
    await file.sync();
    return (await stat(path)).size;
  } finally {
    await file.close();
  }
}
