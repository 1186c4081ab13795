/**
 * Event stream, port 1002: `topic length u16 | topic | payload length u32 | payload` both ways
 * (docs/protocol/services.md §5). The first event on a connection subscribes, later ones publish.
 *
 * @module
 */

import { type ByteQueue, concatBytes, decodeText, encodeText, viewOf } from "../bytes.ts";
import { DecodeError, PilotError } from "../errors.ts";
import { type BytesNeeded, FrameReader, type FrameSpan, lengthPrefixed } from "../frame_reader.ts";

/** Longest topic, UTF-8 bytes; the reference's readers close at one byte more. */
export const MAX_TOPIC_BYTES = 1024;
/** Largest payload of an event; the reference's readers close at one byte more. */
export const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** Topic that receives the events of every topic. */
export const ALL_TOPICS = "*";

/** One event. `payload` may be a view of the chunk it came in. */
export interface StreamEvent {
  /** Exact topic. */
  readonly topic: string;
  /** Any bytes. */
  readonly payload: Uint8Array;
}

const LONG_TOPIC = new DecodeError("too_long", "event topic above 1024 bytes");
const LONG_EVENT = new DecodeError("too_long", "event payload too long");

/** Cuts a connection's bytes into events. */
export class EventStreamReader extends FrameReader<StreamEvent> {
  readonly #limit: number;

  /**
   * Makes a reader for one connection.
   *
   * @param options `maxPayloadBytes`: refuse larger events; default {@linkcode MAX_EVENT_BYTES}.
   */
  constructor(options: { maxPayloadBytes?: number } = {}) {
    super();
    this.#limit = options.maxPayloadBytes ?? MAX_EVENT_BYTES;
  }

  /** Finds the extent of the first frame from its length. */
  protected override span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError {
    if (queue.length < 2) return 2;
    const topicBytes = queue.peek(0, 2);
    if (topicBytes > MAX_TOPIC_BYTES) return LONG_TOPIC;
    return lengthPrefixed(queue, 2 + topicBytes, this.#limit, LONG_EVENT);
  }

  /** Makes the value from a complete frame. */
  protected override frame(
    bytes: Uint8Array,
    headerBytes: number,
  ): StreamEvent | DecodeError {
    const topic = decodeText(bytes.subarray(2, headerBytes - 4));
    if (topic instanceof DecodeError) return topic;
    return { topic, payload: bytes.subarray(headerBytes) };
  }
}

/**
 * Encodes what precedes an event's payload, so that a payload need not be copied for each subscriber.
 *
 * @param topic The topic, at most {@linkcode MAX_TOPIC_BYTES}.
 * @param payloadBytes Length of the payload that follows, at most {@linkcode MAX_EVENT_BYTES}.
 * @returns The bytes before the payload.
 * @throws {PilotError} `invalid_argument` for the topic, `limit_exceeded` for the payload.
 */
export function encodeEventHeader(
  topic: string,
  payloadBytes: number,
): Uint8Array {
  const name = encodeText(topic);
  if (name.length > MAX_TOPIC_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `A topic has at most ${MAX_TOPIC_BYTES} bytes, not ${name.length}`,
    );
  }
  if (payloadBytes > MAX_EVENT_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `An event holds at most ${MAX_EVENT_BYTES} bytes, not ${payloadBytes}`,
    );
  }
  const out = new Uint8Array(2 + name.length + 4);
  const view = viewOf(out);
  view.setUint16(0, name.length);
  out.set(name, 2);
  view.setUint32(2 + name.length, payloadBytes);
  return out;
}

/**
 * Encodes an event in one piece.
 *
 * @param event Topic and payload.
 * @returns Header and payload.
 * @throws {PilotError} `invalid_argument` for the topic, `limit_exceeded` for the payload.
 */
export function encodeEvent(event: StreamEvent): Uint8Array {
  return concatBytes(
    encodeEventHeader(event.topic, event.payload.length),
    event.payload,
  );
}
