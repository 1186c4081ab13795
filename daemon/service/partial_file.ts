/**
 * A file that arrives in pieces: appended, hashed on the way, renamed when content and hash agree
 * (docs/protocol/services.md §3).
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { dirname } from "node:path";
import { syncDirectory } from "../../platform/private_files.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import { PilotError } from "../../protocol/errors.ts";
import { Refusal } from "./store_refusal.ts";

/** Mode of received files. */
const FILE_MODE = 0o600;
/** Read at once when an earlier attempt is hashed again, bytes. */
const REHASH_BYTES = 256 * 1024;

/** Which file it is. */
export interface PartialFileKey {
  /** Number of the sender's node: one peer must not resume, or learn about, another's file. */
  readonly peer: number;
  /** Transfer id in hex. */
  readonly transferId: string;
  /** Bytes when finished. */
  readonly size: number;
  /** SHA-256 when finished. */
  readonly sha256: Uint8Array;
}

/** What became of the file when it was closed. */
export type PartialEnd =
  /** It was never opened: what an earlier attempt left is as it was. */
  | { readonly kind: "untouched" }
  /** It stays for the next attempt, with so many bytes. */
  | { readonly kind: "left"; readonly bytes: number }
  /** It is removed. */
  | { readonly kind: "removed" }
  /** It is complete and at this path. */
  | { readonly kind: "placed"; readonly path: string };

/** A file on its way. All methods may be called while others run; they take turns. */
export class PartialFile {
  readonly #path: string;
  readonly #key: PartialFileKey;
  readonly #onClosed: (end: PartialEnd) => void;
  #file: Deno.FsFile | undefined;
  #hash: Hash = createHash("sha256");
  #offset = 0;
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param path Where the unfinished file lies.
   * @param key Which file it is.
   * @param onClosed Called once when it is finished, given up or cut off.
   */
  constructor(path: string, key: PartialFileKey, onClosed: (end: PartialEnd) => void) {
    this.#path = path;
    this.#key = key;
    this.#onClosed = onClosed;
  }

  /** Everything before this offset is there. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Opens the file and hashes what an earlier attempt left.
   *
   * @throws {PilotError} `io_error`.
   */
  open(): Promise<void> {
    return this.#exclusive(async () => {
      const file = await Deno.open(this.#path, {
        read: true,
        write: true,
        create: true,
        mode: FILE_MODE,
      });
      this.#file = file;
      const { size } = await file.stat();
      if (size > this.#key.size) await file.truncate(0);
      const buffer = new Uint8Array(REHASH_BYTES);
      for (;;) {
        const count = await file.read(buffer);
        if (count === null) break;
        this.#hash.update(buffer.subarray(0, count));
        this.#offset += count;
      }
    });
  }

  /**
   * Appends a piece. What is there already is skipped.
   *
   * @param offset Where the piece belongs; at most {@linkcode PartialFile.offset}.
   * @param data The piece.
   * @throws {PilotError} `protocol_error` for a gap or bytes beyond the end, else `io_error`.
   */
  write(offset: number, data: Uint8Array): Promise<void> {
    return this.#exclusive(async (file) => {
      if (offset > this.#offset) {
        throw new Refusal(
          "protocol_error",
          `gap: chunk at ${offset}, expected ${this.#offset}`,
        );
      }
      if (offset + data.length > this.#key.size) {
        throw new Refusal(
          "protocol_error",
          `chunk beyond the end of the file of ${this.#key.size} bytes`,
        );
      }
      const fresh = data.subarray(this.#offset - offset);
      if (fresh.length === 0) return;
      try {
        for (let rest = fresh; rest.length > 0;) {
          rest = rest.subarray(await file.write(rest));
        }
      } catch (error) {
        this.#release(); // file and hash may differ now; the next attempt hashes what is on disk
        throw error;
      }
      this.#hash.update(fresh);
      this.#offset += fresh.length;
    });
  }

  /**
   * Compares the hash, flushes the file and puts it in its place.
   *
   * @param target Final path; must not exist.
   * @throws {PilotError} `protocol_error` when bytes are missing, or when the content is not what was announced: then
   * the file is removed, so that the next attempt starts over. Else `io_error`.
   */
  finish(target: string): Promise<void> {
    return this.#exclusive(async (file) => {
      if (this.#offset !== this.#key.size) {
        throw new Refusal(
          "protocol_error",
          `incomplete: ${this.#offset} of ${this.#key.size} bytes`,
        );
      }
      if (!equalBytes(this.#hash.digest(), this.#key.sha256)) {
        this.#release({ kind: "removed" });
        await Deno.remove(this.#path);
        throw new Refusal("protocol_error", "SHA-256 does not match");
      }
      await file.sync();
      await Deno.rename(this.#path, target);
      this.#release({ kind: "placed", path: target });
      await syncDirectory(dirname(target));
    });
  }

  /**
   * Closes the file; what has arrived stays for the next attempt. May be called again.
   *
   * @returns When nothing touches the file any more.
   */
  async close(): Promise<void> {
    const before = this.#turn;
    this.#turn = before.then(() => this.#release(), () => this.#release());
    await this.#turn;
  }

  #release(end?: PartialEnd): void {
    if (this.#closed) return;
    this.#closed = true;
    const left: PartialEnd = this.#file === undefined
      ? { kind: "untouched" }
      : { kind: "left", bytes: this.#offset };
    this.#file?.close();
    this.#file = undefined;
    this.#onClosed(end ?? left);
  }

  #exclusive(run: (file: Deno.FsFile) => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (this.#closed) {
        throw new Refusal(
          "invalid_state",
          "the transfer was started anew on another connection",
        );
      }
      // Only `open` runs without a file, and does not look at it.
      await run(this.#file as Deno.FsFile);
    });
    this.#turn = turn.catch(() => {}); // the caller gets it
    return turn.catch((error) => {
      throw PilotError.from(error, "io_error");
    });
  }
}
