/**
 * Writing as fast as a stream takes it.
 *
 * @module
 */

import { type ByteStream, CHUNK_BYTES } from "./measured_transport.ts";

/** The most bytes the system gives at once. */
const RANDOM_MAX = 65_536;

/** Random, so that nothing on the path can compress it; made once. */
export const PAYLOAD: Uint8Array<ArrayBuffer> = randomBytes(CHUNK_BYTES);

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += RANDOM_MAX) {
    crypto.getRandomValues(bytes.subarray(at, at + RANDOM_MAX));
  }
  return bytes;
}

/**
 * Writes until stopped.
 *
 * @param stream Where.
 * @param signal Stops it after the write under way.
 */
export async function flood(stream: ByteStream, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await stream.write(PAYLOAD);
}
