/**
 * The inbox and the received files, read from the home directory (docs/protocol/services.md §2.3, §7).
 *
 * @module
 */

import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../platform/private_files.ts";
import { PilotError } from "../protocol/errors.ts";

/** Files read at the same time: enough to hide the latency of the disk. */
const READ_PARALLEL = 32;

/** A message as stored by the data exchange service. */
export interface StoredMessage extends Record<string, unknown> {
  /** File name without `.json`. */
  id: string;
}

/** A received file. */
export interface StoredFile extends Record<string, unknown> {
  /** File name. */
  name: string;
  /** Bytes. */
  bytes: number;
  /** When it was stored, RFC 3339. */
  modified: string;
  /** Where it is. */
  path: string;
}

interface FileAge {
  name: string;
  /** When it was stored, unix milliseconds. */
  timeMs: number;
  size: number;
}

/** Names and times of the files of a directory, oldest first; none when there is no directory. */
async function filesByAge(
  dir: string,
  keep: (name: string) => boolean,
): Promise<FileAge[]> {
  let names: string[];
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    names = entries.filter((entry) => entry.isFile() && !entry.name.startsWith("."))
      .map((entry) => entry.name).filter(keep);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw PilotError.from(error, "io_error", `Cannot read ${dir}`);
  }
  const found = await mapLimited(names, async (name) => {
    try {
      const { mtimeMs, size } = await stat(join(dir, name));
      return { name, timeMs: timeOfName(name) ?? mtimeMs, size };
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined; // removed meanwhile
      throw PilotError.from(error, "io_error", `Cannot read ${join(dir, name)}`);
    }
  });
  return found.filter((file) => file !== undefined)
    .sort((a, b) => a.timeMs - b.timeMs || (stampOf(a.name) < stampOf(b.name) ? -1 : 1));
}

/** `TEXT-20261121-013400.123-000042.json`: local time and a counter, finer than the times of the file system. */
const MESSAGE_NAME = /^[^-]*-((\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)\.(\d{3}).*)\.json$/;

function timeOfName(name: string): number | undefined {
  const match = MESSAGE_NAME.exec(name);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second, ms] = match.slice(2).map(Number);
  return new Date(year!, month! - 1, day, hour, minute, second, ms).getTime();
}

function stampOf(name: string): string {
  return MESSAGE_NAME.exec(name)?.[1] ?? name;
}

async function mapLimited<T, R>(items: readonly T[], map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += READ_PARALLEL) {
    results.push(...await Promise.all(items.slice(i, i + READ_PARALLEL).map(map)));
  }
  return results;
}

const isMessage = (name: string) => name.endsWith(".json");

/** Which messages to read. */
export interface MessageFilter {
  /** Most messages, newest kept; 0 for all. */
  limit: number;
  /** Only from this address. */
  from?: string | undefined;
  /** Only received at or after this time, unix milliseconds. */
  sinceMs?: number | undefined;
}

/**
 * Reads the inbox.
 *
 * @param dir The inbox.
 * @param filter Which messages.
 * @returns The chosen messages, oldest first, and how many match in all.
 * @throws {PilotError} `io_error`.
 */
export async function readInbox(
  dir: string,
  filter: MessageFilter,
): Promise<{ messages: StoredMessage[]; total: number }> {
  const files = (await filesByAge(dir, isMessage))
    .filter(({ timeMs }) => filter.sinceMs === undefined || timeMs >= filter.sinceMs);
  // Without a filter on the content only the messages to show need be read.
  const wanted = filter.limit > 0 && filter.from === undefined ? files.slice(-filter.limit) : files;
  const read = await mapLimited(wanted, ({ name }) => readMessage(dir, name));
  const matching = read.filter((message) => message !== undefined)
    .filter((message) => filter.from === undefined || message.from === filter.from);
  const total = filter.from === undefined ? files.length : matching.length;
  return { messages: filter.limit > 0 ? matching.slice(-filter.limit) : matching, total };
}

async function readMessage(dir: string, name: string): Promise<StoredMessage | undefined> {
  const id = name.slice(0, -".json".length);
  let text: string;
  try {
    text = await readFile(join(dir, name), "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined; // removed meanwhile
    throw PilotError.from(error, "io_error", `Cannot read ${join(dir, name)}`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return { ...value, id };
  } catch {
    // Not ours or damaged: shown as such, so that it can be removed.
  }
  return { id, type: "DAMAGED", bytes: text.length, data: "" };
}

/**
 * Reads one message.
 *
 * @param dir The inbox.
 * @param id Its id, or a beginning of it that no other has.
 * @returns The message.
 * @throws {PilotError} `not_found`, or `invalid_argument` when several begin like that.
 */
export async function readOne(dir: string, id: string): Promise<StoredMessage> {
  const name = await nameOf(dir, id);
  const message = await readMessage(dir, name);
  if (message === undefined) throw noMessage(id);
  return message;
}

/**
 * Removes one message.
 *
 * @param dir The inbox.
 * @param id Its id or a beginning of it.
 * @returns The full id.
 * @throws {PilotError} As {@linkcode readOne}.
 */
export async function removeOne(dir: string, id: string): Promise<string> {
  const name = await nameOf(dir, id);
  await remove(join(dir, name));
  return name.slice(0, -".json".length);
}

async function nameOf(dir: string, id: string): Promise<string> {
  const files = await filesByAge(dir, isMessage);
  const exact = files.find(({ name }) => name === `${id}.json`);
  if (exact !== undefined) return exact.name;
  const similar = files.filter(({ name }) => id !== "" && name.startsWith(id));
  if (similar.length > 1) {
    throw new PilotError("invalid_argument", `${similar.length} messages begin with "${id}"`, {
      hint: "Give more of the id, see: pilotctl inbox",
    });
  }
  if (similar.length === 0) throw noMessage(id);
  return similar[0]!.name;
}

function noMessage(id: string): PilotError {
  return new PilotError("not_found", `No message "${id}" in the inbox`, {
    hint: "See: pilotctl inbox",
  });
}

/**
 * Lists the received files, oldest first.
 *
 * @param dir Where they are.
 * @returns The files.
 * @throws {PilotError} `io_error`.
 */
export async function listReceived(dir: string): Promise<StoredFile[]> {
  const files = await filesByAge(dir, () => true);
  return files.map(({ name, timeMs, size }) => ({
    name,
    bytes: size,
    modified: new Date(timeMs).toISOString(),
    path: join(dir, name),
  }));
}

/** Which messages or files to remove. */
export interface ClearFilter {
  /** Only those older than this, unix milliseconds. */
  beforeMs?: number | undefined;
  /** Only messages from this address. */
  from?: string | undefined;
}

/**
 * Removes the messages or files of a directory.
 *
 * @param dir The directory.
 * @param kind What it holds.
 * @param filter Which; default all.
 * @returns How many were removed.
 * @throws {PilotError} `io_error`.
 */
export async function clearMailbox(
  dir: string,
  kind: "messages" | "files",
  { beforeMs = Infinity, from }: ClearFilter = {},
): Promise<number> {
  const files = (await filesByAge(dir, kind === "messages" ? isMessage : () => true))
    .filter(({ timeMs }) => timeMs < beforeMs);
  const removed = await mapLimited(files, async ({ name }) => {
    if (from !== undefined && (await readMessage(dir, name))?.from !== from) return 0;
    await remove(join(dir, name));
    return 1;
  });
  return removed.reduce<number>((sum, count) => sum + count, 0);
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot remove ${path}`);
  }
}
