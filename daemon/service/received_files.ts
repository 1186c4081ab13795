/**
 * The directory of received files: quota, unique names, and files that arrive in pieces (services-cli.md §1.3,
 * §11.1).
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { ensurePrivateDir, writeFileAtomic } from "../../platform/files.ts";
import { DISK_RESERVE_BYTES, RECEIVED_MAX_BYTES } from "../../platform/mailbox_limits.ts";
import { PilotError } from "../../protocol/errors.ts";
import { listFiles } from "./directory.ts";
import { PartialFile, type PartialFileKey } from "./partial_file.ts";
import { NameStamp, sanitizeFileName, stampFileName } from "./stored_name.ts";

/** An unfinished file nobody went on with for this long is removed, milliseconds. */
const PARTIAL_KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** Directory of unfinished files, within that of the finished ones so that a rename finishes them. */
const PARTIAL_DIR = ".partial";

/** Where and how much. */
export interface ReceivedFilesOptions {
  /** Directory; made when the first file arrives. */
  dir: string;
  /** Bytes kept; default 2 GiB. */
  maxBytes?: number;
  /** The clock. */
  now?: () => Date;
  /** Free bytes of the disk a directory is on; default asks the system. */
  freeBytes?: (dir: string) => Promise<number>;
}

/** Where a file was put. */
export interface ReceivedFile {
  /** Name within the directory. */
  readonly name: string;
  /** Its path. */
  readonly path: string;
}

/** Stores received files. */
export class ReceivedFiles {
  readonly #dir: string;
  readonly #partialDir: string;
  readonly #maxBytes: number;
  readonly #stamp: NameStamp;
  readonly #freeBytes: (dir: string) => Promise<number>;
  /** Unfinished files that are open, by name. */
  readonly #open = new Map<string, PartialFile>();
  /** Bytes of finished and unfinished files, as far as we know: others remove files as well. */
  #used: number | undefined;
  /** Bytes promised to files on their way. */
  #promised = 0;

  /**
   * @param options Where and how much.
   */
  constructor(options: ReceivedFilesOptions) {
    this.#dir = options.dir;
    this.#partialDir = join(options.dir, PARTIAL_DIR);
    this.#maxBytes = options.maxBytes ?? RECEIVED_MAX_BYTES;
    this.#freeBytes = options.freeBytes ?? freeBytesOf;
    const start = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#stamp = new NameStamp(options.now ?? (() => new Date()), start);
  }

  /**
   * Stores a whole file; when it returns, the file survives a crash.
   *
   * @param name What the sender calls it.
   * @param data Its content.
   * @returns Where it is.
   * @throws {PilotError} `limit_exceeded` when there is no room, else `io_error`.
   */
  async save(name: string, data: Uint8Array): Promise<ReceivedFile> {
    await ensurePrivateDir(this.#dir);
    await this.#promise(data.length);
    try {
      const file = this.#place(name);
      await writeFileAtomic(file.path, data);
      this.#used = (this.#used ?? 0) + data.length;
      return file;
    } finally {
      this.#promised -= data.length;
    }
  }

  /**
   * Opens a file that arrives in pieces, going on where an earlier attempt of the same sender stopped. An attempt
   * that is still open is cut off: its connection is a dead one.
   *
   * @param key Sender, content and size.
   * @returns The unfinished file, with `offset` where to go on.
   * @throws {PilotError} `limit_exceeded` when there is no room, else `io_error`.
   */
  async openPartial(key: PartialFileKey): Promise<PartialFile> {
    await ensurePrivateDir(this.#dir);
    await ensurePrivateDir(this.#partialDir);
    const id = `${key.transferId}-${key.peer.toString(16).padStart(12, "0")}`;
    await this.#open.get(id)?.close();
    let promised = false;
    let closed = false;
    const file = new PartialFile(join(this.#partialDir, id), key, () => {
      closed = true;
      if (this.#open.get(id) === file) this.#open.delete(id);
      if (promised) this.#promised -= key.size;
      this.#used = undefined; // counted anew when next asked: the rest of a broken transfer stays
    });
    this.#open.set(id, file);
    this.#used = undefined; // an earlier attempt must not count beside the promise
    try {
      await this.#promise(key.size);
      if (closed) this.#promised -= key.size;
      else promised = true;
      await file.open();
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  /**
   * Puts a finished file in its place.
   *
   * @param partial All bytes have arrived.
   * @param name What the sender calls it.
   * @returns Where it is.
   * @throws {PilotError} `protocol_error` when content and hash differ (the file is removed), else `io_error`.
   */
  async finish(partial: PartialFile, name: string): Promise<ReceivedFile> {
    const file = this.#place(name);
    await partial.finish(file.path);
    return file;
  }

  #place(name: string): ReceivedFile {
    const stored = stampFileName(sanitizeFileName(name), this.#stamp.next());
    return { name: stored, path: join(this.#dir, stored) };
  }

  /** Promises room; the caller takes it back. */
  async #promise(bytes: number): Promise<void> {
    this.#promised += bytes;
    try {
      if (!this.#fits()) await this.#count();
      if (!this.#fits()) {
        throw new PilotError(
          "limit_exceeded",
          `quota of ${this.#maxBytes} bytes for received files exceeded`,
          { hint: "Remove files that are not needed: pilotctl received --clear" },
        );
      }
      const free = await this.#freeBytes(this.#dir);
      if (free - this.#promised < DISK_RESERVE_BYTES) {
        throw new PilotError("limit_exceeded", "no space left on the disk");
      }
    } catch (error) {
      this.#promised -= bytes;
      throw error;
    }
  }

  #fits(): boolean {
    return this.#used !== undefined &&
      this.#used + this.#promised <= this.#maxBytes;
  }

  /** Counts what is there, and removes unfinished files nobody went on with. */
  async #count(): Promise<void> {
    let used = 0;
    for (const { size } of await listFiles(this.#dir)) used += size;
    const old = Date.now() - PARTIAL_KEPT_MS;
    for (const file of await listFiles(this.#partialDir)) {
      if (this.#open.has(file.name)) continue; // promised already
      if (file.changedAt < old) await file.remove();
      else used += file.size;
    }
    this.#used = used;
  }
}

async function freeBytesOf(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}
