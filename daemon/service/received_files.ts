/**
 * The directory of received files: quota, unique names, and files that arrive in pieces
 * (docs/protocol/services.md §2.3, §3).
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { ensurePrivateDir, writeFileAtomic } from "../../platform/private_files.ts";
import {
  DISK_RESERVE_BYTES,
  RECEIVED_MAX_BYTES,
  RECEIVED_MAX_BYTES_PER_SENDER,
  RECEIVED_MAX_FILES,
  RECEIVED_MAX_FILES_PER_SENDER,
} from "../../platform/mailbox_limits.ts";
import { findFile, freeBytesOf, namesIn, removeFile } from "./stored_files.ts";
import { PartialFile, type PartialFileKey } from "./partial_file.ts";
import { noSpace } from "./store_refusal.ts";
import { type Counted, type QuotaLimits, type Room, SenderQuota } from "./sender_quota.ts";
import { NameStamp, sanitizeFileName, senderOfFileName, stampFileName } from "./stored_name.ts";

/** An unfinished file nobody went on with for this long is removed, milliseconds. */
export const PARTIAL_KEPT_MS = 7 * 24 * 60 * 60 * 1000;
/** Directory of unfinished files, within that of the finished ones so that a rename finishes them. */
const PARTIAL_DIR = ".partial";

/** Hex digits of the sender in the name of an unfinished file: those of an address's key, of which the node is the end. */
const PARTIAL_SENDER_DIGITS = 12;
/** Those of them that are the node's number. */
const NODE_DIGITS = 8;

/** Where and how much. */
export interface ReceivedFilesOptions {
  /** Directory; made when the first file arrives. */
  dir: string;
  /** Bounds; default those of `platform/mailbox_limits.ts`. */
  limits?: Partial<QuotaLimits>;
  clock: Clock;
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

/** Stores received files. Their users remove them: the daemon deletes none that is complete. */
export class ReceivedFiles {
  readonly #dir: string;
  readonly #partialDir: string;
  readonly #clock: Clock;
  readonly #stamp: NameStamp;
  readonly #freeBytes: (dir: string) => Promise<number>;
  readonly #quota: SenderQuota;
  /** Unfinished files that are open, by name. */
  readonly #open = new Map<string, PartialFile>();
  /** Bytes that files on their way will still take. */
  #promised = 0;

  /**
   * @param options Where and how much.
   */
  constructor(options: ReceivedFilesOptions) {
    this.#dir = options.dir;
    const clock = this.#clock = options.clock;
    this.#partialDir = join(options.dir, PARTIAL_DIR);
    this.#freeBytes = options.freeBytes ?? freeBytesOf;
    const start = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#stamp = new NameStamp(clock, start);
    this.#quota = new SenderQuota({
      clock,
      noun: "files",
      limits: {
        maxFiles: RECEIVED_MAX_FILES,
        maxFilesPerSender: RECEIVED_MAX_FILES_PER_SENDER,
        maxBytes: RECEIVED_MAX_BYTES,
        maxBytesPerSender: RECEIVED_MAX_BYTES_PER_SENDER,
        ...options.limits,
      },
      list: () => this.#list(),
      look: (name) => this.#look(name),
    });
  }

  /**
   * Stores a whole file; when it returns, the file survives a crash.
   *
   * @param sender Number of the node that sends it.
   * @param name What the sender calls it.
   * @param data Its content.
   * @returns Where it is.
   * @throws {PilotError} `limit_exceeded` when there is no room, else `io_error`.
   */
  async save(sender: number, name: string, data: Uint8Array): Promise<ReceivedFile> {
    await ensurePrivateDir(this.#dir);
    const room = await this.#quota.take(sender, data.length);
    const release = this.#promise(data.length);
    try {
      await this.#checkDisk();
      const file = this.#place(name, sender);
      await writeFileAtomic(file.path, data);
      room.stored(file.name);
      return file;
    } finally {
      release();
      room.release();
    }
  }

  /**
   * Opens a file that arrives in pieces, going on where an earlier attempt of the same sender stopped. An attempt
   * that is still open is cut off: its connection is a dead one.
   *
   * @param key Sender, content and size.
   * @returns The unfinished file, with `offset` where to resume.
   * @throws {PilotError} `limit_exceeded` when there is no room, else `io_error`.
   */
  async openPartial(key: PartialFileKey): Promise<PartialFile> {
    await ensurePrivateDir(this.#dir);
    await ensurePrivateDir(this.#partialDir);
    const sender = key.peer;
    const id = `${key.transferId}-${sender.toString(16).padStart(PARTIAL_SENDER_DIGITS, "0")}`;
    const name = join(PARTIAL_DIR, id);
    await this.#open.get(id)?.close();
    // While it is open it counts with its whole size.
    const before = this.#quota.remove(name);
    const release = this.#promise(key.size);
    let room: Room | undefined;
    let isClosed = false;
    const file = new PartialFile(join(this.#partialDir, id), key, (end) => {
      isClosed = true;
      if (this.#open.get(id) === file) this.#open.delete(id);
      release();
      if (end.kind === "placed") room?.stored(basename(end.path));
      room?.release();
      if (end.kind === "left") this.#quota.add(name, { sender, size: end.bytes });
      else if (end.kind === "untouched" && before !== undefined) this.#quota.add(name, before);
    });
    this.#open.set(id, file);
    try {
      room = await this.#quota.take(sender, key.size);
      if (isClosed) room.release();
      await this.#checkDisk();
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
   * @param sender Number of the node that sent it.
   * @param name What the sender calls it.
   * @returns Where it is.
   * @throws {PilotError} `protocol_error` when content and hash differ (the file is removed), else `io_error`.
   */
  async finish(partial: PartialFile, sender: number, name: string): Promise<ReceivedFile> {
    const file = this.#place(name, sender);
    await partial.finish(file.path);
    return file;
  }

  #place(name: string, sender: number): ReceivedFile {
    const stored = stampFileName(sanitizeFileName(name), this.#stamp.next(), sender);
    return { name: stored, path: join(this.#dir, stored) };
  }

  /** Counts bytes that will be written; the returned function takes them back, once. */
  #promise(bytes: number): () => void {
    let held = bytes;
    this.#promised += held;
    return () => {
      this.#promised -= held;
      held = 0;
    };
  }

  async #checkDisk(): Promise<void> {
    const free = await this.#freeBytes(this.#dir);
    if (free - this.#promised < DISK_RESERVE_BYTES) throw noSpace();
  }

  /** Names of what is there, open files left out; removes unfinished files nobody went on with. */
  async #list(): Promise<string[]> {
    const names = await namesIn(this.#dir, this.#clock);
    const old = this.#clock.unixNow() - PARTIAL_KEPT_MS;
    for (const id of await namesIn(this.#partialDir, this.#clock)) {
      if (this.#open.has(id)) continue;
      const path = join(this.#partialDir, id);
      const found = await findFile(path);
      if (found === undefined || this.#open.has(id)) continue;
      if (found.changedAt < old) await removeFile(path);
      else names.push(join(PARTIAL_DIR, id));
    }
    return names;
  }

  async #look(name: string): Promise<Counted | undefined> {
    const found = await findFile(join(this.#dir, name));
    if (found === undefined) return undefined;
    if (dirname(name) !== PARTIAL_DIR) return { sender: senderOfFileName(name), size: found.size };
    if (this.#open.has(basename(name))) return undefined; // counted with its whole size
    const sender = parseInt(name.slice(-NODE_DIGITS), 16);
    return { sender: Number.isNaN(sender) ? undefined : sender, size: found.size };
  }
}
