/**
 * Big-endian numbers in payloads of the local socket.
 *
 * @module
 */

/** 16 bits. */
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

/** 32 bits. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
