/**
 * Runs {@linkcode Seen the probe} in namespaces.
 *
 * @module
 */

import type { Seen } from "./probe.ts";

const PROBE = new URL("probe.ts", import.meta.url).pathname;

function probe(namespace: string, ...args: string[]): Deno.Command {
  const run = ["run", "-q", "-A", "--no-config", "--unstable-net", PROBE, ...args];
  return new Deno.Command("ip", {
    args: ["netns", "exec", namespace, Deno.execPath(), ...run],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
}

/** Starts one that tells who asks it what it sees; ended when disposed of. */
export async function reflector(namespace: string, address: string): Promise<AsyncDisposable> {
  const child = probe(namespace, "reflect", address).spawn();
  const reader = child.stdout.getReader();
  if ((await reader.read()).done) throw new Error("The reflector ended at once");
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}

/** Asks reflectors what they see of this namespace. */
export async function ask(namespace: string, ...reflectors: string[]): Promise<Seen> {
  const { stdout } = await probe(namespace, "ask", ...reflectors).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}
