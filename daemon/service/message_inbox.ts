/**
 * The inbox: one JSON file per received message (docs/protocol/services.md §2.3, §7).
 *
 * @module
 */

import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { ensurePrivateDir, errorCode, writeFileAtomic } from "../../platform/private_files.ts";
import {
  INBOX_MAX_BYTES,
  INBOX_MAX_BYTES_PER_SENDER,
  INBOX_MAX_FILES,
  INBOX_MAX_FILES_PER_SENDER,
  MESSAGE_DISK_RESERVE_BYTES,
} from "../../platform/mailbox_limits.ts";
import { type Address, formatAddress, parseAddress } from "../../protocol/address.ts";
import { encodeJson } from "../../protocol/bytes.ts";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { MessageTags } from "../../protocol/service/tagged.ts";
import { freeBytesOf, namesIn } from "./stored_files.ts";
import { noSpace } from "./store_refusal.ts";
import { type Counted, type QuotaLimits, SenderQuota } from "./sender_quota.ts";
import { NameStamp } from "./stored_name.ts";

/** Read of a message to see who sent it, bytes: the sender precedes the content. */
const HEAD_BYTES = 512;
/** Messages from this size on are written one after the other: their JSON takes several times their size in memory. */
const LARGE_MESSAGE_BYTES = 1024 * 1024;

/** A message that arrived. */
export interface InboxMessage {
  /** `TEXT`, `BINARY` or `JSON`. */
  type: string;
  /** The sender. */
  from: Address;
  /** Its content. */
  payload: Uint8Array;
  /** Its ids. */
  tags?: MessageTags;
}

/** The JSON object in a file of the inbox. `data` for text, `data_b64` for everything that is not UTF-8 text. */
export interface InboxRecord {
  /** Name of the file without `.json`; unique. */
  id: string;
  /** `TEXT`, `BINARY` or `JSON`. */
  type: string;
  /** Address of the sender, without port. */
  from: string;
  /** Id that the sender gave it. */
  message_id?: string;
  /** Id of the message that it answers. */
  reply_to?: string;
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
  /** Bounds; default those of `platform/mailbox_limits.ts`. */
  limits?: Partial<QuotaLimits>;
  clock: Clock;
  /** Free bytes of the disk a directory is on; default asks the system. */
  freeBytes?: (dir: string) => Promise<number>;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Stores messages. Their readers remove them: the daemon deletes none, because it cannot know which were read.
 * When a sender's share or the whole is used up, new ones are refused.
 */
export class Inbox {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #stamp: NameStamp;
  readonly #quota: SenderQuota;
  readonly #freeBytes: (dir: string) => Promise<number>;
  #large: Promise<unknown> = Promise.resolve();

  /**
   * @param options Where and how much.
   */
  constructor(options: InboxOptions) {
    const dir = this.#dir = options.dir;
    const clock = this.#clock = options.clock;
    this.#freeBytes = options.freeBytes ?? freeBytesOf;
    const start = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#stamp = new NameStamp(clock, start);
    this.#quota = new SenderQuota({
      clock,
      noun: "messages",
      limits: {
        maxFiles: INBOX_MAX_FILES,
        maxFilesPerSender: INBOX_MAX_FILES_PER_SENDER,
        maxBytes: INBOX_MAX_BYTES,
        maxBytesPerSender: INBOX_MAX_BYTES_PER_SENDER,
        ...options.limits,
      },
      list: async () => (await namesIn(dir, clock)).filter((name) => name.endsWith(".json")),
      look: (name) => senderOf(join(dir, name)),
    });
  }

  /**
   * Stores a message; when it returns, the message survives a crash.
   *
   * @param message The message.
   * @returns The record that was written.
   * @throws {PilotError} `limit_exceeded` when there is no room, else `io_error`.
   */
  store(message: InboxMessage): Promise<InboxRecord> {
    if (message.payload.length < LARGE_MESSAGE_BYTES) {
      return this.#store(message);
    }
    const turn = this.#large.then(() => this.#store(message));
    this.#large = turn.catch(() => {}); // its writer gets the failure
    return turn;
  }

  async #store(message: InboxMessage): Promise<InboxRecord> {
    const record = this.#record(message);
    const json = encodeJson(record);
    await ensurePrivateDir(this.#dir);
    const room = await this.#quota.take(message.from.node, json.length);
    try {
      if (await this.#freeBytes(this.#dir) - json.length < MESSAGE_DISK_RESERVE_BYTES) {
        throw noSpace();
      }
      const name = `${record.id}.json`;
      await writeFileAtomic(join(this.#dir, name), json);
      room.stored(name);
    } finally {
      room.release();
    }
    return record;
  }

  #record({ type, from, payload, tags = {} }: InboxMessage): InboxRecord {
    const text = type === "BINARY" ? undefined : asText(payload);
    return {
      id: `${type}-${this.#stamp.next()}`,
      type,
      from: formatAddress(from),
      ...tagFields(tags),
      ...(text === undefined
        ? { data_encoding: "base64", data_b64: encodeBase64(payload) }
        : { data_encoding: "utf8", data: text }),
      bytes: payload.length,
      received_at: new Date(this.#clock.unixNow()).toISOString(),
    };
  }
}

/** Ids as records and events have them. */
export function tagFields(
  { messageId, replyTo }: MessageTags,
): Pick<InboxRecord, "message_id" | "reply_to"> {
  return {
    ...(messageId === undefined ? {} : { message_id: messageId }),
    ...(replyTo === undefined ? {} : { reply_to: replyTo }),
  };
}

/** Who sent a stored message: `"from"` in its first bytes, where records of ours have it before the content. */
async function senderOf(path: string): Promise<Counted | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    const from = /"from":\s*"([0-9A-Fa-f:.]{1,40})"/.exec(head)?.[1];
    return { sender: from === undefined ? undefined : nodeOf(from), size };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined; // removed meanwhile
    throw PilotError.from(error, "io_error", `Cannot read ${path}`);
  } finally {
    await file?.close();
  }
}

function nodeOf(text: string): number | undefined {
  try {
    return parseAddress(text).node;
  } catch {
    return undefined; // written by another program
  }
}

function asText(payload: Uint8Array): string | undefined {
  try {
    return decoder.decode(payload);
  } catch {
    return undefined; // not UTF-8, whatever the sender called it: kept as bytes
  }
}
