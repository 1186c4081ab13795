/**
 * What a killed run has left behind. Namespaces and directories have the pid of their run in their names, so that a
 * later run knows those that nobody will remove any more.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../../../scripts/bench/host/run_command.ts";

/** Names of our namespaces and directories begin with it. */
export const PREFIX: string = `pilotnat${Deno.pid}-`;
const OWNED = /^pilotnat(\d+)-/;

/** Removes the namespaces of runs that have ended, the processes in them, and the directories. */
export async function removeLeftovers(): Promise<void> {
  const list = await run("ip", ["netns", "list"]);
  const names = list.split("\n").map((line) => line.split(" ")[0]!);
  for (const name of names.filter(isLeftover)) {
    const inside = await run("ip", ["netns", "pids", name]).catch(() => "");
    for (const orphan of inside.split("\n").filter((line) => line !== "")) {
      try {
        process.kill(Number(orphan), "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    // Another test file may be removing it as well.
    await run("ip", ["netns", "del", name]).catch(() => {});
  }
  for (const name of (await readdir(tmpdir())).filter(isLeftover)) {
    // As above; and what cannot be removed only takes room.
    await Deno.remove(join(tmpdir(), name), { recursive: true }).catch(() => {});
  }
}

function isLeftover(name: string): boolean {
  const pid = OWNED.exec(name)?.[1];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch {
    // We are root, so nothing but its absence can be the reason.
    return true;
  }
}
