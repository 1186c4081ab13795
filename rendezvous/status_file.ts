/**
 * `rendezvous.json` in the store directory: what a running server reports to `rendezvous status` about itself. That
 * it is there does not say that the server runs; the lock on the store does.
 *
 * @module
 */

import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode, readTextFile, writeFileAtomic } from "../platform/private_files.ts";
import { VERSION } from "../platform/version.ts";
import { isJsonObject, type JsonObject } from "../protocol/registry/registry_message.ts";
import { DATABASE_FILE } from "./registry/store/sqlite.ts";
import type { RendezvousFacts } from "./view.ts";

/** Name of the file in the store directory, mode 0600. */
export const STATUS_FILE = "rendezvous.json";
/** What SQLite keeps beside the database. */
const STORE_FILES: readonly string[] = ["", "-wal", "-shm"].map((end) => DATABASE_FILE + end);

/**
 * The facts in the form that people and programs see.
 *
 * @param facts What does not change while a rendezvous runs.
 * @returns One JSON object.
 */
export function publicFacts(facts: RendezvousFacts): JsonObject {
  return {
    pid: facts.pid,
    version: VERSION,
    started: facts.started,
    registry: facts.registry,
    beacon: facts.beacon,
    udp: facts.udp,
    http: facts.http ?? null,
    store: facts.store ?? null,
    registry_key: facts.registryKey,
    tls_fingerprint: facts.tlsFingerprint ?? null,
    join_uri: facts.join.uri,
    join_hint: facts.join.hint ?? null,
  };
}

/**
 * Writes the file; a server in memory has none.
 *
 * @param facts What it says.
 * @throws {PilotError} `io_error`.
 */
export async function writeStatusFile(facts: RendezvousFacts): Promise<void> {
  if (facts.store === undefined) return;
  const text = JSON.stringify(publicFacts(facts), null, 2) + "\n";
  await writeFileAtomic(join(facts.store, STATUS_FILE), text);
}

/** Removes the file at the end of the server. */
export async function removeStatusFile(facts: RendezvousFacts): Promise<void> {
  if (facts.store === undefined) return;
  // What is left behind is recognized by the lock: no reason to fail an orderly end.
  await rm(join(facts.store, STATUS_FILE), { force: true }).catch(() => {});
}

/**
 * Reads the file.
 *
 * @param store The store directory.
 * @returns What it says; empty when there is none or it is damaged.
 */
export async function readStatusFile(store: string): Promise<JsonObject> {
  const text = await readTextFile(join(store, STATUS_FILE)) ?? "{}";
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {}; // it only repeats what the server knows better
  }
}

/**
 * Size of a store on disk.
 *
 * @param store The store directory.
 * @returns Bytes of the database and what belongs to it; undefined for a store in memory.
 */
export async function storeBytes(store: string | undefined): Promise<number | undefined> {
  if (store === undefined) return undefined;
  let bytes = 0;
  for (const name of STORE_FILES) {
    try {
      bytes += (await stat(join(store, name))).size;
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error; // SQLite creates and removes them at will
    }
  }
  return bytes;
}
