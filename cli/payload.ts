/**
 * Bytes given by and shown to people: `--data`, `--file`, stdin; text where it is text, base64 where not.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { PilotError } from "../protocol/errors.ts";
import { usageError } from "./errors.ts";
import type { Invocation } from "./invocation.ts";
import type { OptionSpec } from "./spec.ts";

/** Most bytes taken from stdin or a file for one message: the largest frame of the services is 16 MiB. */
export const MAX_INPUT_BYTES = 16 * 1024 * 1024;

/** The options that say what to send. */
export const PAYLOAD_OPTIONS: readonly OptionSpec[] = [
  { flags: "--data <text>", description: "What to send, as text" },
  { flags: "--file <path>", description: "Send the content of a file; - is stdin" },
];

/**
 * Reads what is to be sent: `--data`, `--file`, or stdin when it is not a terminal.
 *
 * @param call The running command.
 * @returns The bytes.
 * @throws {PilotError} `invalid_argument` when nothing or two things are given, `limit_exceeded`, `io_error`,
 * `not_found`.
 */
export async function readPayload(call: Invocation): Promise<Uint8Array> {
  const text = call.options.text("data");
  const path = call.options.text("file");
  if (text !== undefined && path !== undefined) {
    throw usageError("--data and --file exclude each other");
  }
  if (text !== undefined) return new TextEncoder().encode(text);
  if (path !== undefined && path !== "-") return await readWholeFile(path);
  if (path === undefined && call.host.stdin.isTerminal) {
    throw usageError("Nothing to send", "Give --data TEXT, --file PATH, or pipe something in.");
  }
  const content = await collect(call.host.stdin.readable());
  // Run by a program without a terminal, a forgotten --data must not become an empty message.
  if (content.length === 0 && path === undefined) {
    throw usageError(
      "Nothing to send: standard input is empty",
      'Give --data TEXT (--data "" for nothing), --file PATH, or pipe something in.',
    );
  }
  return content;
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

/**
 * Puts chunks together.
 *
 * @param chunks The chunks.
 * @returns One array.
 */
export function join(chunks: readonly Uint8Array[]): Uint8Array {
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
 * Bytes as JSON fields: text, and the exact bytes as base64 when they are not UTF-8.
 *
 * @param bytes The bytes.
 * @param key Name of the field.
 * @returns `{[key]: text}`, with `<key>_b64` when needed.
 */
export function payloadFields(bytes: Uint8Array, key: string = "data"): Record<string, string> {
  try {
    return { [key]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch {
    // Not UTF-8: the text is for reading, the base64 for processing.
    return { [key]: new TextDecoder().decode(bytes), [`${key}_b64`]: bytes.toBase64() };
  }
}
