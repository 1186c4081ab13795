/** Hex helpers for tests that quote wire bytes. */

/** Turns hex into bytes; white space is ignored. */
export function bytes(hex: string): Uint8Array {
  return new Uint8Array(
    (hex.replaceAll(/\s/g, "").match(/../g) ?? []).map((pair) => parseInt(pair, 16)),
  );
}

/** Turns bytes into lower-case hex. */
export function hex(value: Uint8Array): string {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** The bytes first, first + 1, ... */
export function range(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => first + i);
}
