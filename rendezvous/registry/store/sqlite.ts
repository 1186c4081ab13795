/**
 * The registry store on SQLite: WAL, `synchronous=FULL`, so that what was committed survives `kill -9` and a
 * power cut.
 *
 * All requests are answered from memory (`NodeTable` and its companions); the database is only written in
 * batches and read once, at start. So its statements are few, and one transaction per event-loop turn is one
 * fsync for all requests of that turn.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { join } from "node:path";
import { PilotError } from "../../../protocol/errors.ts";
import { REGISTRY_KEY_FILE } from "../signing.ts";
import { ensurePrivateDir, exists } from "../../../platform/private_files.ts";
import {
  type Beginning,
  damaged,
  ensurePrivateFile,
  isEmptyDatabase,
  lost,
  openDatabase,
} from "./open_store.ts";
import { nodeRow, requestRow, responseRow, type Row, STATES, trustRow, whole } from "./rows.ts";
import { ANSWERS } from "../handshake_answer.ts";
import { CONSENTS } from "../consent.ts";
import { NetworkStatements } from "./sqlite_networks.ts";
import { type DirectoryLock, lockDirectory } from "./lock.ts";
import type { NodeRow, RegistryStore, StoreBatch, StoreReader } from "./store.ts";

/** Name of the database file in the store directory. */
export const DATABASE_FILE = "registry.db";

/** A store in one directory. */
export class SqliteStore implements RegistryStore {
  /** The directory. */
  readonly location: string;
  readonly #lock: DirectoryLock;
  readonly #db: DatabaseSync;
  readonly #networks: NetworkStatements;
  readonly #putMeta: StatementSync;
  readonly #putSequence: StatementSync;
  readonly #putNode: StatementSync;
  readonly #putTrust: StatementSync;
  readonly #dropTrust: StatementSync;
  readonly #putRequest: StatementSync;
  readonly #dropRequest: StatementSync;
  readonly #putResponse: StatementSync;
  readonly #dropResponse: StatementSync;
  #storedNextNode = 0;

  /** Use {@linkcode SqliteStore.open}. */
  constructor(location: string, lock: DirectoryLock, db: DatabaseSync) {
    this.location = location;
    this.#lock = lock;
    this.#db = db;
    this.#networks = new NetworkStatements(db);
    this.#putMeta = db.prepare("UPDATE meta SET value = ? WHERE name = 'next_node'");
    this.#putSequence = db.prepare("UPDATE meta SET value = ? WHERE name = 'sequence'");
    this.#putNode = db.prepare(
      `INSERT OR REPLACE INTO nodes VALUES (${Array(21).fill("?").join()})`,
    );
    this.#putTrust = db.prepare("INSERT OR REPLACE INTO trust VALUES (?, ?, ?, ?)");
    this.#dropTrust = db.prepare("DELETE FROM trust WHERE low = ? AND high = ?");
    const drop = (table: string) =>
      db.prepare(`DELETE FROM ${table} WHERE target = ? AND sender = ?`);
    const put = (table: string) =>
      db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?, ?, ?, ?)`);
    this.#putRequest = put("handshake_requests");
    this.#dropRequest = drop("handshake_requests");
    this.#putResponse = put("handshake_responses");
    this.#dropResponse = drop("handshake_responses");
  }

  /**
   * Opens or creates the store of a directory and locks it for this process.
   *
   * @param directory Created with mode 0700 when missing.
   * @param beginning When it may be created.
   * @returns The store.
   * @throws {PilotError} `invalid_state` when another process has it, it was written by a newer version, is not ours or
   * has lost its content; `already_exists` when it was to be new and is not; `io_error` when it is damaged or cannot be written. The file is left as it is.
   */
  static async open(
    directory: string,
    beginning: Beginning = "unless-lost",
  ): Promise<SqliteStore> {
    await ensurePrivateDir(directory);
    const lock = await lockDirectory(directory);
    let db: DatabaseSync | undefined;
    try {
      const path = join(directory, DATABASE_FILE);
      const mayBegin = beginning !== "unless-lost" ||
        !await exists(join(directory, REGISTRY_KEY_FILE));
      const isThere = await exists(path);
      if (!isThere && !mayBegin) throw lost(path); // before the file is made
      if (isThere && beginning === "anew" && !isEmptyDatabase(path)) {
        throw new PilotError("already_exists", `The registry store ${directory} is not empty`, {
          advice: { id: "keep_store" },
        });
      }
      await ensurePrivateFile(path);
      db = openDatabase(path, mayBegin);
      return new SqliteStore(directory, lock, db);
    } catch (error) {
      db?.close();
      lock.release();
      if (error instanceof PilotError) throw error;
      throw damaged(join(directory, DATABASE_FILE), error); // a table is missing
    }
  }

  /** Reads every row. See {@linkcode RegistryStore.load}. */
  load(reader: StoreReader): void {
    try {
      const meta = this.#db.prepare("SELECT value FROM meta WHERE name = ?");
      reader.sequence(whole(meta.get("sequence")?.["value"]));
      this.#storedNextNode = whole(meta.get("next_node")?.["value"]);
      reader.nextNode(this.#storedNextNode);
      for (const row of this.#rows("nodes")) reader.node(nodeRow(row));
      for (const row of this.#rows("trust")) reader.trust(trustRow(row));
      for (const row of this.#rows("handshake_requests")) reader.request(requestRow(row));
      for (const row of this.#rows("handshake_responses")) reader.response(responseRow(row));
      this.#networks.load(reader);
    } catch (error) {
      throw damaged(join(this.location, DATABASE_FILE), error);
    }
  }

  #rows(table: string): Iterable<Row> {
    return this.#db.prepare(`SELECT * FROM ${table}`).iterate();
  }

  /** One transaction, flushed to the disk. See {@linkcode RegistryStore.commit}. */
  commit(batch: StoreBatch): Promise<void> {
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      this.#write(batch);
      this.#db.exec("COMMIT");
      this.#storedNextNode = batch.nextNode;
      this.#networks.stored(batch);
      return Promise.resolve();
    } catch (error) {
      this.#rollBack();
      return Promise.reject(
        PilotError.from(error, "io_error", `Cannot write ${this.location}`),
      );
    }
  }

  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has already rolled back (disk full); the error of the commit is the one to report.
    }
  }

  #write(batch: StoreBatch): void {
    this.#putSequence.run(batch.sequence);
    if (batch.nextNode !== this.#storedNextNode) this.#putMeta.run(batch.nextNode);
    for (const node of batch.nodes) this.#writeNode(node);
    for (const [low, high] of batch.trustRemoved) this.#dropTrust.run(low, high);
    for (const { low, high, byLow, byHigh } of batch.trust) {
      this.#putTrust.run(low, high, CONSENTS.indexOf(byLow), CONSENTS.indexOf(byHigh));
    }
    for (const [target, sender] of batch.requestsRemoved) this.#dropRequest.run(target, sender);
    for (const { target, sender, justification, created, message } of batch.requests) {
      this.#putRequest.run(target, sender, justification, created, message);
    }
    for (const [target, sender] of batch.responsesRemoved) this.#dropResponse.run(target, sender);
    for (const { target, sender, answer, created, message } of batch.responses) {
      this.#putResponse.run(target, sender, ANSWERS.indexOf(answer), created, message);
    }
    this.#networks.write(batch);
  }

  #writeNode(node: NodeRow): void {
    this.#putNode.run(
      node.id,
      node.key,
      Number(node.proven),
      STATES.indexOf(node.state),
      node.owner,
      node.realAddr,
      JSON.stringify(node.lanAddrs),
      Number(node.relayOnly),
      node.hostname,
      JSON.stringify(node.tags),
      Number(node.public),
      Number(node.taskExec),
      node.version,
      node.offlineSince,
      node.keyCreated,
      node.keyRotated,
      node.keyRotations,
      node.poloScore,
      node.keyExpires,
      node.externalId,
      Number(node.held),
    );
  }

  /** Moves the WAL into the database file and closes both. */
  close(): Promise<void> {
    try {
      this.#db.close();
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(
        PilotError.from(error, "io_error", `Cannot close ${this.location}`),
      );
    } finally {
      this.#lock.release();
    }
  }
}
