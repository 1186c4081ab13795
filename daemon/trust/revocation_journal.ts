/**
 * Room on disk for revocations, taken beforehand: it is written in place, so that a revocation survives a kill even
 * when the disk is full and trust.json cannot be replaced.
 *
 * Slots of 24 bytes: node u32, Unix ms u64, order seen u64, CRC-32 of these u32, all big-endian; zeros are an empty slot.
 *
 * @module
 */

import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { PilotError } from "../../protocol/errors.ts";
import { PRIVATE_FILE_MODE } from "../../platform/private_files.ts";
import type { Tombstones } from "./saver.ts";

/** Revocations noted while trust.json cannot be written: more than a person ends by hand on a full disk. */
export const MAX_TOMBSTONES = 256;
const SLOT_BYTES = 24;
const CHECKED_BYTES = 20;

/** A revocation that was noted. */
export interface Tombstone {
  /** Node number. */
  readonly node: number;
  /** Unix milliseconds. */
  readonly atMs: number;
  /** The highest order of the node that had been acted upon. */
  readonly seenOrder: number;
}

interface Slot extends Tombstone {
  readonly index: number;
}

/** The file, open for as long as the daemon runs. */
export class RevocationJournal implements Tombstones {
  readonly #file: FileHandle;
  readonly #path: string;
  #used: number;
  /** Ends with the last write: one that clears must not overtake what is noted after it. */
  #last: Promise<void> = Promise.resolve();
  /** What was noted when the file was opened. */
  readonly found: readonly Tombstone[];

  private constructor(file: FileHandle, path: string, found: readonly Slot[]) {
    this.#file = file;
    this.#path = path;
    this.found = found;
    // What was found stays where it is until it is cleared.
    this.#used = (found.at(-1)?.index ?? -1) + 1;
  }

  /**
   * Opens the file, and makes it when it is not there or short.
   *
   * @throws {PilotError} `io_error` naming the file.
   */
  static async open(path: string): Promise<RevocationJournal> {
    let file: FileHandle | undefined;
    try {
      file = await openForUpdate(path);
      const bytes = new Uint8Array(MAX_TOMBSTONES * SLOT_BYTES);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      // Written, not merely made longer: a hole would need room later.
      if (bytesRead < bytes.length) {
        await writeAll(file, bytes.subarray(bytesRead), bytesRead);
        await file.sync();
      }
      return new RevocationJournal(file, path, readSlots(bytes));
    } catch (error) {
      await file?.close();
      throw PilotError.from(error, "io_error", `Cannot prepare ${path}`);
    }
  }

  note(node: number, atMs: number, seenOrder: number): Promise<void> {
    return this.#inOrder(() => this.#note(node, atMs, seenOrder));
  }

  async #note(node: number, atMs: number, seenOrder: number): Promise<void> {
    if (this.#used >= MAX_TOMBSTONES) {
      throw new PilotError("limit_exceeded", `${this.#path} holds ${MAX_TOMBSTONES} revocations`);
    }
    const slot = new Uint8Array(SLOT_BYTES);
    const view = new DataView(slot.buffer);
    view.setUint32(0, node);
    view.setBigUint64(4, BigInt(Math.floor(atMs)));
    view.setBigUint64(12, BigInt(seenOrder));
    view.setUint32(CHECKED_BYTES, crc32(slot.subarray(0, CHECKED_BYTES)));
    const at = this.#used++ * SLOT_BYTES;
    await writeAll(this.#file, slot, at);
    await this.#file.datasync();
  }

  clear(): Promise<void> {
    return this.#inOrder(() => this.#clear());
  }

  async #clear(): Promise<void> {
    if (this.#used === 0) return;
    const bytes = this.#used * SLOT_BYTES;
    this.#used = 0;
    await writeAll(this.#file, new Uint8Array(bytes), 0);
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#inOrder(() => this.#file.close());
  }

  #inOrder(task: () => Promise<void>): Promise<void> {
    const done = this.#last.then(task);
    // The caller gets the error.
    this.#last = done.catch(() => {});
    return done;
  }
}

/** When there is no room for a journal: every note fails, and the caller knows. */
export const NO_TOMBSTONES: Tombstones = {
  note: () => Promise.reject(new PilotError("io_error", "there is no place for revocations")),
  clear: () => Promise.resolve(),
};

async function openForUpdate(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT") throw error;
    return await open(path, "w+", PRIVATE_FILE_MODE);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, sent, bytes.length - sent, at + sent);
    sent += bytesWritten;
  }
}

/** The slots in use, from the first on; what was torn by a crash was never reported as done. */
function readSlots(bytes: Uint8Array): Slot[] {
  const found: Slot[] = [];
  for (let index = 0; index < MAX_TOMBSTONES; index++) {
    const slot = bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
    const view = new DataView(slot.buffer, slot.byteOffset, SLOT_BYTES);
    const node = view.getUint32(0);
    const isWhole = view.getUint32(CHECKED_BYTES) === crc32(slot.subarray(0, CHECKED_BYTES));
    if (node === 0 || !isWhole) continue;
    const [atMs, seenOrder] = [Number(view.getBigUint64(4)), Number(view.getBigUint64(12))];
    found.push({ node, atMs, seenOrder, index });
  }
  return found;
}
