/**
 * Debian packages of peers.
 *
 * @module
 */

import { isInstalled, isRoot, run } from "./run_command.ts";

/** Time to install, milliseconds. */
const INSTALL_MS = 120_000;

/**
 * Sees to it that programs are there, by `apt-get` when we are root and may.
 *
 * @param programs Package by program.
 * @param options Whether to install; signal.
 * @returns Why they are not there, or undefined when they are.
 */
export async function missing(
  programs: Readonly<Record<string, string>>,
  options: { readonly install: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const absent: string[] = [];
  for (const [program, name] of Object.entries(programs)) {
    if (!await isInstalled(program)) absent.push(name);
  }
  if (absent.length === 0) return undefined;
  const what = `not installed: ${absent.join(", ")}`;
  if (!options.install || !isRoot() || !await isInstalled("apt-get")) return what;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(INSTALL_MS)]);
  try {
    await run("apt-get", ["update", "-qq"], { signal });
    const install = ["install", "-y", "-qq", "--no-install-recommends", ...absent];
    await run("apt-get", install, { env: { DEBIAN_FRONTEND: "noninteractive" }, signal });
    return undefined;
  } catch (error) {
    options.signal.throwIfAborted();
    return `${what}; apt-get: ${error instanceof Error ? error.message : error}`;
  }
}
