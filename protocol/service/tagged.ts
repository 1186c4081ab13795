/**
 * Messages with ids, and messages whose transit is timed: frames of the data exchange around another frame
 * (docs/protocol/services.md §4).
 *
 * @module
 */

import { concatBytes, decodeText, encodeJson, encodeText, viewOf } from "../bytes.ts";
import { type Decoded, DecodeError } from "../errors.ts";
import type { DataFrame } from "./data_exchange.ts";
import { isJsonObject } from "../json_object.ts";

/** Longest JSON header of a TAGGED frame, bytes. */
const MAX_TAG_HEADER_BYTES = 1024;
const ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** By what a message and its answer are matched; each is 1 to 128 characters of `[A-Za-z0-9._:-]`. */
export interface MessageTags {
  /** Names the message; the same when it is sent again. */
  readonly messageId?: string;
  /** The message that this one answers. */
  readonly replyTo?: string;
}

const MALFORMED = new DecodeError("malformed", "TAGGED frame malformed");
const BAD_ID = new DecodeError("malformed", "TAGGED frame: message_id or reply_to is not an id");
const TRACE_SHORT = new DecodeError("too_short", "TRACE frame too short");

function tagsOf(header: unknown): MessageTags | undefined {
  if (!isJsonObject(header)) return undefined;
  const { message_id, reply_to } = header;
  const isId = (id: unknown): id is string => typeof id === "string" && ID.test(id);
  for (const id of [message_id, reply_to]) {
    if (id !== undefined && id !== "" && !isId(id)) return undefined;
  }
  return {
    ...(isId(message_id) ? { messageId: message_id } : {}),
    ...(isId(reply_to) ? { replyTo: reply_to } : {}),
  };
}

/**
 * Decodes the payload of a TAGGED frame: header length u16, JSON header, type u32 and payload of the inner frame.
 *
 * @param payload Payload of a type 10 frame.
 * @returns Ids and inner frame, a view; or a {@linkcode DecodeError}.
 */
export function decodeTaggedMessage(
  payload: Uint8Array,
): Decoded<{ readonly tags: MessageTags; readonly inner: DataFrame }> {
  if (payload.length < 2) return MALFORMED;
  const view = viewOf(payload);
  const end = 2 + view.getUint16(0);
  if (end === 2 || end > 2 + MAX_TAG_HEADER_BYTES || payload.length < end + 4) return MALFORMED;
  const text = decodeText(payload.subarray(2, end));
  if (text instanceof DecodeError) return MALFORMED;
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    return MALFORMED;
  }
  const tags = tagsOf(header);
  if (tags === undefined) return BAD_ID;
  return { tags, inner: { type: view.getUint32(end), payload: payload.subarray(end + 4) } };
}

/**
 * Encodes the payload of a TAGGED frame.
 *
 * @param tags The ids.
 * @param inner The frame inside.
 * @returns The payload.
 */
export function encodeTaggedMessage(
  { messageId, replyTo }: MessageTags,
  inner: DataFrame,
): Uint8Array {
  const header = encodeJson({ message_id: messageId, reply_to: replyTo });
  const out = new Uint8Array(2 + header.length + 4);
  const view = viewOf(out);
  view.setUint16(0, header.length);
  out.set(header, 2);
  view.setUint32(2 + header.length, inner.type);
  return concatBytes(out, inner.payload);
}

/** Times in the transit of a message, ns since 1970 by the clock of each side. */
export interface TraceTimes {
  /** As the sender says. */
  readonly sent: bigint;
  /** The frame was complete. */
  readonly received: bigint;
  /** The message was on disk. */
  readonly stored: bigint;
  /** The answer was written. */
  readonly answered: bigint;
}

/**
 * Decodes the payload of a TRACE frame: type of the inner frame u32, time of sending u64 ns, payload of the inner frame.
 *
 * @param payload Payload of a type 5 frame.
 * @returns Time and inner frame, a view; or a {@linkcode DecodeError}.
 */
export function decodeTrace(
  payload: Uint8Array,
): Decoded<{ readonly sent: bigint; readonly inner: DataFrame }> {
  if (payload.length < 12) return TRACE_SHORT;
  const view = viewOf(payload);
  return {
    sent: view.getBigUint64(4),
    inner: { type: view.getUint32(0), payload: payload.subarray(12) },
  };
}

/**
 * The answer to a TRACE frame, the payload of a JSON frame. Its numbers are larger than JavaScript can parse exactly.
 *
 * @param times When what happened.
 * @param ack The answer that the inner frame alone would have got.
 * @returns JSON.
 */
export function encodeTraceAnswer(times: TraceTimes, ack: string): Uint8Array {
  const fields = [
    ["sent_at_ns", times.sent],
    ["received_at_ns", times.received],
    ["inbox_written_at_ns", times.stored],
    ["ack_sent_at_ns", times.answered],
    ["inner_ack", JSON.stringify(ack)],
  ].map(([key, value]) => `"${key}":${value}`);
  return encodeText(`{${fields.join(",")}}`);
}
