/**
 * The published Python SDK on a socket.
 *
 * @module
 */

import type { Operation } from "./operation.ts";

const PROGRAM = new URL("./sdk_check.py", import.meta.url).pathname;
/** Checks of the program, each an operation of its own in the table. */
const CHECKS = [
  ...["info_health", "resolve_hostname", "set_hostname", "set_visibility_and_tags", "trust_lists"],
  ...["dial_echo", "listen_accept", "messages", "files", "events", "datagrams", "networks"],
  ...["what_ours_does_not_serve_is_refused_with_a_reason", "disconnect", "closed_driver"],
];

/** What the program said of each check; it is run once for a socket. */
const runs = new Map<string, Promise<Map<string, string | undefined>>>();

/** All of them. */
export const SDK: readonly Operation[] = CHECKS.map((check) => ({
  name: `Python SDK: ${check.replaceAll("_", " ")}`,
  run: async (from, to, world) => {
    const { socket } = from.agent;
    let run = runs.get(socket);
    if (run === undefined) {
      run = results(from.agent.python(PROGRAM, to.agent.address, to.agent.name, world.path()));
      runs.set(socket, run);
    }
    const said = await run;
    if (!said.has(check)) throw new Error(`The program said nothing of it: ${said.get("")}`);
    const error = said.get(check);
    if (error !== undefined) throw new Error(error);
  },
}));

async function results(
  running: Promise<{ stdout: string; stderr: string }>,
): Promise<Map<string, string | undefined>> {
  const { stdout, stderr } = await running;
  const said = new Map<string, string | undefined>([["", stderr.slice(-500)]]);
  for (const line of stdout.split("\n").filter((text) => text.startsWith("{"))) {
    const { check, error } = JSON.parse(line) as { check: string; error?: string };
    said.set(check, error);
  }
  return said;
}
