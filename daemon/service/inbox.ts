/**
 * The inbox: one JSON file per received message (services-cli.md §1.3, §11.1).
 *
 * @module
 */

import { join } from "node:path";
import { ensurePrivateDir, writeFileAtomic } from "../../platform/files.ts";
import { INBOX_MAX_BYTES, INBOX_MAX_FILES } from "../../platform/mailbox_limits.ts";
import { encodeJson } from "../../protocol/bytes.ts";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { listFiles, type StoredFile } from "./directory.ts";
import { NameStamp } from "./stored_name.ts";

/** Part that is left after the oldest were removed, so that not every message causes a sweep. */
const KEPT_SHARE = 0.9;
/** Messages from this size on are written one after the other: their JSON takes several times their size in memory. */
const LARGE_MESSAGE_BYTES = 1024 * 1024;

/** A message that arrived. */
export interface InboxMessage {
  /** `TEXT`, `BINARY` or `JSON`. */
  type: string;
  /** Address of the sender, without port. */
  from: string;
  /** Its content. */
  payload: Uint8Array;
}

/** The JSON object in a file of the inbox. `data` for text, `data_b64` for everything that is not UTF-8 text. */
export interface InboxRecord {
  /** Name of the file without `.json`; unique. */
  id: string;
  /** `TEXT`, `BINARY` or `JSON`. */
  type: string;
  /** Address of the sender, without port. */
  from: string;
  /** How the payload is kept. */
  data_encoding: "utf8" | "base64";
  /** The payload as text. */
  data?: string;
  /** The payload in base64. */
  data_b64?: string;
  /** Bytes of the payload. */
  bytes: number;
  /** When it was stored, RFC 3339. */
  received_at: string;
}

/** Where and how much. */
export interface InboxOptions {
  /** Directory; made when the first message arrives. */
  dir: string;
  /** Messages kept; default 10 000. */
  maxFiles?: number;
  /** Bytes kept; default 256 MiB. */
  maxBytes?: number;
  /** The clock. */
  now?: () => Date;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Stores messages and forgets the oldest when there are too many. */
export class Inbox {
  readonly #dir: string;
  readonly #maxFiles: number;
  readonly #maxBytes: number;
  readonly #now: () => Date;
  readonly #stamp: NameStamp;
  /** What is there, as far as we know: others remove files as well. Undefined before the first look. */
  #known: { files: number; bytes: number } | undefined;
  #large: Promise<unknown> = Promise.resolve();
  #pruning: Promise<void> | undefined;

  /**
   * @param options Where and how much.
   */
  constructor(options: InboxOptions) {
    this.#dir = options.dir;
    this.#maxFiles = options.maxFiles ?? INBOX_MAX_FILES;
    this.#maxBytes = options.maxBytes ?? INBOX_MAX_BYTES;
    this.#now = options.now ?? (() => new Date());
    const start = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#stamp = new NameStamp(this.#now, start);
  }

  /**
   * Stores a message; when it returns, the message survives a crash.
   *
   * @param message The message.
   * @returns The record that was written.
   * @throws {PilotError} `io_error`.
   */
  store(message: InboxMessage): Promise<InboxRecord> {
    if (message.payload.length < LARGE_MESSAGE_BYTES) {
      return this.#store(message);
    }
    const turn = this.#large.then(() => this.#store(message));
    this.#large = turn.catch(() => {}); // whoever stored it hears of the failure
    return turn;
  }

  async #store(message: InboxMessage): Promise<InboxRecord> {
    const record = this.#record(message);
    const json = encodeJson(record);
    await ensurePrivateDir(this.#dir);
    await writeFileAtomic(join(this.#dir, `${record.id}.json`), json);
    if (this.#known !== undefined) {
      this.#known.files++;
      this.#known.bytes += json.length;
    }
    await this.#prune();
    return record;
  }

  #record({ type, from, payload }: InboxMessage): InboxRecord {
    const text = type === "BINARY" ? undefined : asText(payload);
    return {
      id: `${type}-${this.#stamp.next()}`,
      type,
      from,
      ...(text === undefined
        ? { data_encoding: "base64", data_b64: encodeBase64(payload) }
        : { data_encoding: "utf8", data: text }),
      bytes: payload.length,
      received_at: this.#now().toISOString(),
    };
  }

  /** Removes the oldest messages when there are too many. One sweep at a time. */
  async #prune(): Promise<void> {
    const known = this.#known;
    if (
      known !== undefined && known.files <= this.#maxFiles &&
      known.bytes <= this.#maxBytes
    ) return;
    this.#pruning ??= this.#sweep().finally(() => this.#pruning = undefined);
    await this.#pruning;
  }

  async #sweep(): Promise<void> {
    const files = (await listFiles(this.#dir)).filter(({ name }) => name.endsWith(".json"));
    const known = { files: files.length, bytes: sum(files) };
    this.#known = known;
    if (known.files <= this.#maxFiles && known.bytes <= this.#maxBytes) return;
    for (const file of files) {
      if (
        known.files <= this.#maxFiles * KEPT_SHARE &&
        known.bytes <= this.#maxBytes * KEPT_SHARE
      ) break;
      await file.remove();
      known.files--;
      known.bytes -= file.size;
    }
  }
}

function sum(files: readonly StoredFile[]): number {
  return files.reduce((bytes, { size }) => bytes + size, 0);
}

function asText(payload: Uint8Array): string | undefined {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined; // not UTF-8, whatever the sender called it: kept as bytes
  }
}
