/**
 * Binary mode of the registry connection (docs/protocol/registry.md §1.4): preamble and frames
 * `u32 L | type u8 | L-1 bytes`. The payloads are in binary_payload.ts.
 *
 * @module
 */

import type { ByteQueue } from "../bytes.ts";
import { DecodeError, PilotError } from "../errors.ts";
import { type BytesNeeded, FrameReader, type FrameSpan, lengthPrefixed } from "../frame_reader.ts";

export * from "./binary_payload.ts";

/** What a client sends first to choose binary mode: `PILT` and version 1. */
export const BINARY_PREAMBLE: Uint8Array = Uint8Array.of(
  0x50,
  0x49,
  0x4c,
  0x54,
  0x01,
);
/** Frame types. */
export const BinaryType = {
  json: 0x00,
  heartbeat: 0x01,
  lookup: 0x02,
  resolve: 0x03,
  heartbeatOk: 0x81,
  lookupOk: 0x82,
  resolveOk: 0x83,
  error: 0xff,
} as const;

/** Largest body of a JSON frame, and largest length field of a binary one (docs/protocol/registry.md §1.3). */
export const REGISTRY_MAX_FRAME_BYTES = 4 * 1024 * 1024;
const TOO_LONG = new DecodeError("too_long", "registry frame too long");
const NO_TYPE = new DecodeError("malformed", "registry frame without type");
/** One binary frame. `payload` may be a view of the chunk it came in. */
export interface BinaryFrame {
  /** One of {@linkcode BinaryType}, or an unknown one. */
  readonly type: number;
  /** What follows the type. */
  readonly payload: Uint8Array;
}

/** Cuts a binary connection's bytes, preamble removed, into frames. */
export class BinaryFrameReader extends FrameReader<BinaryFrame> {
  readonly #maxBytes: number;

  /**
   * Makes a reader of nothing yet.
   *
   * @param maxBytes Largest length field; default {@linkcode REGISTRY_MAX_FRAME_BYTES}, which replies can have.
   */
  constructor(maxBytes: number = REGISTRY_MAX_FRAME_BYTES) {
    super();
    this.#maxBytes = maxBytes;
  }

  /** Finds the extent of the first frame from its length. */
  protected override span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError {
    const span = lengthPrefixed(queue, 0, this.#maxBytes, TOO_LONG);
    const empty = typeof span === "object" && "bodyBytes" in span &&
      span.bodyBytes === 0;
    return empty ? NO_TYPE : span;
  }

  /** Makes the value from a complete frame. */
  protected override frame(bytes: Uint8Array): BinaryFrame {
    return { type: bytes[4]!, payload: bytes.subarray(5) };
  }
}

/**
 * Encodes a binary frame.
 *
 * @param type One of {@linkcode BinaryType}.
 * @param payload What follows.
 * @returns The frame.
 * @throws {PilotError} `limit_exceeded` when it is above 4 MiB.
 */
export function encodeBinaryFrame(
  type: number,
  payload: Uint8Array,
): Uint8Array {
  const length = 1 + payload.length;
  if (length > REGISTRY_MAX_FRAME_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `Registry message of ${length} bytes is above ${REGISTRY_MAX_FRAME_BYTES}`,
    );
  }
  const out = new Uint8Array(4 + length);
  new DataView(out.buffer).setUint32(0, length);
  out[4] = type;
  out.set(payload, 5);
  return out;
}
