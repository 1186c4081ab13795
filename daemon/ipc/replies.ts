/**
 * Payloads of replies: JSON that fits a frame, and errors in the two forms of docs/protocol/local-socket.md §3 and of
 * the extensions.
 *
 * @module
 */

import { type Decoded, DecodeError, PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  encodeIpcError,
  encodeIpcFrame,
  encodeJson,
  encodeTag,
  encodeTaggedError,
  IPC_MAX_FRAME_BYTES,
} from "../../protocol/ipc/mod.ts";

/** Space that a JSON reply must leave for length, command and tag. */
const FRAME_OVERHEAD_BYTES = 64;
/** Lists that may be cut when a reply would not fit, and the flag that says so (docs/protocol/local-socket.md §7). */
const CUTTABLE: readonly (readonly [string, string])[] = [
  ["conn_list", "conns_truncated"],
  ["peer_list", "peers_truncated"],
  ["trusted", "truncated"],
  ["pending", "truncated"],
  ["nodes", "truncated"],
];

/** An error together with what an untagged client reads before its message ("resolve_hostname"). */
export class CommandError extends Error {
  /** What went wrong. */
  readonly error: PilotError;
  /** Text for clients without tags (docs/protocol/local-socket.md §3). */
  readonly text: string;

  /**
   * @param error What went wrong.
   * @param text Text for clients without tags.
   */
  constructor(error: PilotError, text: string) {
    super(text);
    this.error = error;
    this.text = text;
  }
}

/**
 * Runs something and puts a prefix before the text of its failure.
 *
 * @param prefix For example `sendto`.
 * @param run What to run.
 * @returns Its result.
 * @throws {CommandError} Its failure.
 */
export async function prefixed<T>(
  prefix: string,
  run: () => T | Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    throw commandError(prefix, thrown);
  }
}

/**
 * The failure of a command, with a prefix before its text.
 *
 * @param prefix For example `sendto`.
 * @param thrown What went wrong.
 * @returns What to throw.
 */
export function commandError(prefix: string, thrown: unknown): CommandError {
  const error = PilotError.from(thrown, "internal");
  return new CommandError(error, `${prefix}: ${error.message}`);
}

/**
 * The value, when the payload could be decoded.
 *
 * @param value What a decoder returned.
 * @param prefix Put before the decoder's message, when given.
 * @returns The value.
 * @throws {PilotError} `invalid_argument` with the decoder's message.
 */
export function unwrap<T>(value: Decoded<T>, prefix?: string): T {
  if (value instanceof DecodeError) {
    throw new PilotError(
      "invalid_argument",
      prefix === undefined ? value.message : `${prefix}: ${value.message}`,
    );
  }
  return value as T;
}

/**
 * Encodes a JSON reply, cutting its long lists when it would not fit a frame.
 *
 * @param reply The object; not changed.
 * @returns UTF-8 JSON below the frame limit.
 * @throws {PilotError} `limit_exceeded` when it cannot be made to fit.
 */
export function encodeReply(reply: object): Uint8Array {
  const limit = IPC_MAX_FRAME_BYTES - FRAME_OVERHEAD_BYTES;
  let bytes = encodeJson(reply);
  if (bytes.length <= limit) return bytes;
  const cut: Record<string, unknown> = { ...reply };
  for (const [list, flag] of CUTTABLE) {
    let items = cut[list];
    while (Array.isArray(items) && items.length > 0 && bytes.length > limit) {
      items = items.slice(0, items.length >> 1);
      cut[list] = items;
      cut[flag] = true;
      bytes = encodeJson(cut);
    }
  }
  if (bytes.length <= limit) return bytes;
  throw new PilotError(
    "limit_exceeded",
    `The reply of ${bytes.length} bytes does not fit into an IPC frame`,
  );
}

/**
 * The text an untagged client gets for a failed dial.
 *
 * @param error Why it failed.
 * @returns The text of docs/protocol/local-socket.md §3.
 */
export function dialText(error: PilotError): string {
  if (error.code === "connection_refused") return "connection refused";
  if (error.code === "timeout") return "dial timeout";
  return error.message;
}

/**
 * Encodes an answer.
 *
 * @param tag The request's id, when it has one.
 * @param cmd The answering command.
 * @param payload Its payload.
 * @returns The frame.
 */
export function encodeAnswer(
  tag: number | undefined,
  cmd: number,
  payload: Uint8Array,
): Uint8Array {
  return tag === undefined
    ? encodeIpcFrame(cmd, payload)
    : encodeIpcFrame(Cmd.TaggedReply, encodeTag(tag, cmd), payload);
}

/**
 * Encodes a failure: JSON with the code for requests with an id, else the bare text.
 *
 * @param tag The request's id, when it has one.
 * @param error What went wrong.
 * @param text Text for clients without tags; default the error's message.
 * @returns The frame.
 */
export function encodeFailure(
  tag: number | undefined,
  error: PilotError,
  text: string = error.message,
): Uint8Array {
  return tag === undefined
    ? encodeIpcFrame(Cmd.Error, encodeIpcError(text))
    : encodeAnswer(tag, Cmd.Error, encodeTaggedError(error));
}
