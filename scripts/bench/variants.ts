/**
 * Configurations of our daemon.
 *
 * @module
 */

/** Flags of `daemon run` by variant. */
export const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  auto: [],
  linux: ["--udp", "linux", "--aead", "libcrypto"],
  portable: ["--udp", "portable", "--aead", "wasm"],
  "portable-node": ["--udp", "portable", "--aead", "node"],
  "portable-libcrypto": ["--udp", "portable", "--aead", "libcrypto"],
  "linux-wasm": ["--udp", "linux", "--aead", "wasm"],
  "linux-node": ["--udp", "linux", "--aead", "node"],
  noble: ["--udp", "portable", "--aead", "noble"],
};

/**
 * The flags of a variant.
 *
 * @param name One of {@linkcode VARIANTS}.
 * @returns Arguments for `daemon run`.
 */
export function variantFlags(name: string): readonly string[] {
  const flags = VARIANTS[name];
  if (flags === undefined) throw new TypeError(`No variant ${name}`);
  return flags;
}

/** What "ours" is unless the command line says otherwise: the fast path where there is one, so that it is not left to chance. */
export const DEFAULT_VARIANT: string = Deno.build.os === "linux" ? "linux" : "auto";
