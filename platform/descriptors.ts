/**
 * How many files and sockets this process may have open.
 *
 * @module
 */

/** `RLIMIT_NOFILE` of Linux. */
const RLIMIT_NOFILE = 7;
/** Bytes of `struct rlimit`: soft and hard limit. */
const RLIMIT_BYTES = 16;
/** `RLIM_INFINITY`, and whatever else is too large to matter. */
const ENDLESS = 1_048_576;

/**
 * Asks the system. The runtime has raised the limit as far as it may be raised.
 *
 * @returns Descriptors, at most {@linkcode ENDLESS}; undefined where that cannot be known: another system than Linux with
 * glibc, or no permission for FFI.
 */
export function descriptorLimit(): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    const library = Deno.dlopen(
      "libc.so.6",
      { getrlimit: { parameters: ["i32", "buffer"], result: "i32" } } as const,
    );
    try {
      const limits = new BigUint64Array(RLIMIT_BYTES / 8);
      const bytes = new Uint8Array(limits.buffer);
      if (library.symbols.getrlimit(RLIMIT_NOFILE, bytes) !== 0) return undefined;
      const [soft = 0n] = limits;
      return soft > BigInt(ENDLESS) ? ENDLESS : Number(soft);
    } finally {
      library.close();
    }
  } catch {
    return undefined; // another C library: not known, as elsewhere
  }
}
