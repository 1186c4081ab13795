/**
 * Randomness for the protocol, which draws none itself.
 *
 * @module
 */

/**
 * Fills an array with random bytes.
 *
 * @param out The array; at most 64 KiB.
 */
export function random(out: Uint8Array): void {
  crypto.getRandomValues(out as Uint8Array<ArrayBuffer>);
}
