/**
 * Bytes given by and shown to people: `--data`, `--file`, stdin; text where it is text, base64 where not.
 *
 * @module
 */

import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { PilotError } from "../protocol/errors.ts";
import { usageError } from "./command_failure.ts";
import type { Invocation } from "./invocation.ts";
import type { OptionSpec } from "./option_spec.ts";

/** Most bytes of one message or JSON record: the largest frame of the services is 16 MiB. */
export const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** The options that say what to send. */
export const PAYLOAD_OPTIONS: readonly OptionSpec[] = [
  { flags: "--data <text>", description: "What to send, as text" },
  { flags: "--file <path>", description: "Send the content of a file; - is stdin" },
];

/** Where the bytes to send come from. */
type Given = { text: string } | { path: string } | { stdin: "asked" | "found" };

function given(call: Invocation): Given {
  const text = call.options.text("data");
  const path = call.options.text("file");
  if (text !== undefined && path !== undefined) {
    throw usageError("--data and --file exclude each other");
  }
  if (text !== undefined) return { text };
  if (path !== undefined) return path === "-" ? { stdin: "asked" } : { path };
  if (call.host.stdin.isTerminal) {
    throw usageError("Nothing to send", "Give --data TEXT, --file PATH, or pipe something in.");
  }
  return { stdin: "found" };
}

/** Run by a program without a terminal, a forgotten --data must not become an empty message. */
function emptyInput(): PilotError {
  return usageError(
    "Nothing to send: standard input is empty",
    'Give --data TEXT (--data "" for nothing), --file PATH, or pipe something in.',
  );
}

/**
 * Reads what is to be sent as one message: `--data`, `--file`, or stdin when it is not a terminal.
 *
 * @param call The running command.
 * @returns The bytes.
 * @throws {PilotError} `invalid_argument` when nothing or two things are given, `limit_exceeded`, `io_error`,
 * `not_found`.
 */
export async function readPayload(call: Invocation): Promise<Uint8Array> {
  const from = given(call);
  if ("text" in from) return new TextEncoder().encode(from.text);
  if ("path" in from) return await readWholeFile(from.path);
  const content = await collect(call.host.stdin.readable());
  if (content.length === 0 && from.stdin === "found") throw emptyInput();
  return content;
}

/** Read from a file at once, bytes. */
const FILE_CHUNK_BYTES = 256 * 1024;

/**
 * The same for a stream, which has no limit: nothing is read before it is asked for but the beginning, so that what
 * cannot be read fails before a peer is dialled.
 *
 * @param call The running command.
 * @returns The bytes in pieces; iterating throws `io_error`.
 * @throws {PilotError} `invalid_argument` when nothing or two things are given, `io_error`, `not_found`.
 */
export async function openPayload(call: Invocation): Promise<AsyncIterable<Uint8Array>> {
  const from = given(call);
  if ("text" in from) return pieces([new TextEncoder().encode(from.text)]);
  const chunks = "path" in from
    ? fileChunks(from.path)
    : call.host.stdin.readable()[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) {
    if ("stdin" in from && from.stdin === "found") throw emptyInput();
    return pieces([]);
  }
  return pieces([first.value], chunks);
}

async function* pieces(
  first: readonly Uint8Array[],
  rest?: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield* first;
  if (rest === undefined) return;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* createReadStream(path, { highWaterMark: FILE_CHUNK_BYTES });
  } catch (error) {
    throw fileError(error, path);
  }
}

async function readWholeFile(path: string): Promise<Uint8Array> {
  let content: Uint8Array;
  try {
    content = await readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
  if (content.length > MAX_INPUT_BYTES) throw tooMuch();
  return content;
}

/**
 * Names the file in a system error.
 *
 * @param thrown What was caught.
 * @param path The file.
 * @returns `not_found` or `io_error`.
 */
export function fileError(thrown: unknown, path: string): PilotError {
  const missing = thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
  return missing
    ? new PilotError("not_found", `No such file: ${path}`, { cause: thrown })
    : PilotError.from(thrown, "io_error", `Cannot read ${path}`);
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > MAX_INPUT_BYTES) throw tooMuch();
    chunks.push(chunk);
  }
  return join(chunks);
}

function tooMuch(): PilotError {
  return new PilotError("limit_exceeded", "A message holds at most 16 MiB", {
    hint: "Send it as a file: pilotctl send-file",
  });
}

/** Puts chunks together. */
function join(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/**
 * Bytes as one JSON field: text where they are UTF-8, otherwise base64. Never both: a reader of the text would take
 * something else than was sent.
 *
 * @param bytes The bytes.
 * @param key Name of the field.
 * @returns `{[key]: text}` or `{[key]_b64: base64}`.
 */
export function payloadFields(bytes: Uint8Array, key: string = "data"): Record<string, string> {
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    return { [`${key}_b64`]: bytes.toBase64() };
  }
}

/** Keeps bytes for a JSON record, which is printed as a whole. */
export class Collected {
  readonly #what: string;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /** @param what Named in the error: `The answer`. */
  constructor(what: string) {
    this.#what = what;
  }

  /** Everything so far. */
  get bytes(): Uint8Array {
    return join(this.#chunks);
  }

  /**
   * Adds bytes.
   *
   * @param chunk The bytes; kept, not copied.
   * @throws {PilotError} `limit_exceeded` beyond 16 MiB.
   */
  add(chunk: Uint8Array): void {
    this.#length += chunk.length;
    if (this.#length > MAX_INPUT_BYTES) {
      throw new PilotError(
        "limit_exceeded",
        `${this.#what} is longer than a JSON record of 16 MiB`,
        {
          hint: "Without --json it has no limit and is passed on as it arrives.",
        },
      );
    }
    this.#chunks.push(chunk);
  }
}
