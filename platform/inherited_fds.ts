/**
 * Descriptors that this process was started with, kept from those that it starts.
 *
 * A shell's lock, a pipe of a test harness or the job server of make would otherwise be held as long as a background
 * process lives (Deno closes none of them; Node marks them at its start).
 *
 * @module
 */

/** Descriptors that are passed on on purpose: the standard streams. */
const FIRST_OTHER = 3;
/** Descriptors that are marked, open or not: listing them needs all permissions, and shells give low numbers. */
const MAX_INHERITED = 4_096;
/** `FIOCLEX` of `ioctl`: as close-on-exec of `fcntl`, but without a third argument, whose place differs by system. */
const FIOCLEX: Partial<Record<typeof Deno.build.os, bigint>> = {
  linux: 0x5451n,
  darwin: 0x20006601n,
};
/** The C libraries. */
const LIBRARIES: Partial<Record<typeof Deno.build.os, readonly string[]>> = {
  linux: ["libc.so.6", "libc.so"], // the second one is musl's
  darwin: ["libSystem.B.dylib"],
};

/**
 * Marks every descriptor but the standard streams so that processes started from now on do not get it. Those of the
 * runtime itself are marked already.
 *
 * @returns Why that could not be done; undefined when it was.
 */
export function keepInheritedFds(): string | undefined {
  const { os } = Deno.build;
  const request = FIOCLEX[os];
  if (request === undefined) return undefined; // Windows passes on only what is named
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return "no permission for FFI";
  }
  const troubles: string[] = [];
  for (const name of LIBRARIES[os] ?? []) {
    try {
      const library = Deno.dlopen(
        name,
        { ioctl: { parameters: ["i32", "usize"], result: "i32" } } as const,
      );
      try {
        for (let fd = FIRST_OTHER; fd < MAX_INHERITED; fd++) library.symbols.ioctl(fd, request);
        return undefined;
      } finally {
        library.close();
      }
    } catch (error) {
      troubles.push(error instanceof Error ? error.message : String(error));
    }
  }
  return troubles.join("; ");
}
