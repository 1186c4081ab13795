/**
 * Small commands that run to their end.
 *
 * @module
 */

/**
 * Runs a command.
 *
 * @param command The program.
 * @param args Its arguments.
 * @param options Standard input, more environment, and a signal that kills it.
 * @returns What it printed.
 * @throws {Error} When it fails, with what it printed to stderr.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { ...options.env },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).spawn();
  if (options.input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.input));
    await writer.close();
  }
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  options.signal?.throwIfAborted();
  const why = (text.decode(stderr).trim() || text.decode(stdout).trim()).slice(-500);
  throw new Error(`${[command, ...args].join(" ")}: ${why || "failed"}`);
}

/** Whether a program is installed. */
export async function isInstalled(command: string): Promise<boolean> {
  try {
    await run("sh", ["-c", 'command -v "$0"', command]);
    return true;
  } catch {
    // `command -v` fails for what is not there.
    return false;
  }
}

/** Whether we are root on Linux. */
export function isRoot(): boolean {
  return Deno.build.os === "linux" && Deno.uid() === 0;
}
