/**
 * The one executable: `pilot` (also as `pilotctl`), and by other names `pilot-daemon`, `pilot-rendezvous` and
 * `pilot-gateway`.
 *
 * @module
 */

import { basename } from "node:path";
import process from "node:process";
import { main } from "./cli/main.ts";
import { denoHost } from "./cli/host_deno.ts";

/** Programs by name, and what they put before their arguments. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  "pilot-daemon": ["daemon", "run"],
  "pilot-rendezvous": ["rendezvous"],
  "pilot-gateway": ["gateway", "run"],
};

/** Only a compiled program has a name of its own; otherwise it would be Deno's. */
function prefixByName(): readonly string[] {
  if (!Deno.build.standalone) return [];
  const name = basename(process.argv0 || Deno.execPath()).replace(/\.exe$/, "");
  return ROLES[name] ?? [];
}

/** `pilot-gateway run alice` names its verb; `daemon start` gives all of it to what it starts under a name. */
function withPrefix(prefix: readonly string[], args: readonly string[]): readonly string[] {
  if (prefix.every((word, n) => args[n] === word)) return args;
  const isVerbGiven = prefix[0] === "gateway" && args[0] === "run";
  return [...(isVerbGiven ? prefix.slice(0, 1) : prefix), ...args];
}

if (import.meta.main) {
  const prefix = prefixByName();
  const args = withPrefix(prefix, Deno.args);
  const host = denoHost({
    mainModule: import.meta.url,
    roles: {
      daemon: async () => (await import("./daemon/mod.ts")).runDaemon,
      rendezvous: async () => (await import("./rendezvous/mod.ts")).runRendezvous,
      rendezvousStatus: async () => (await import("./rendezvous/mod.ts")).rendezvousStatus,
      rendezvousStore: async () => {
        const { backupStore, importSnapshot } = await import("./rendezvous/mod.ts");
        return { backup: backupStore, import: importSnapshot };
      },
      gateway: async () => (await import("./gateway/mod.ts")).runGateway,
    },
  });
  // Not left to the end of the event loop: a read of stdin that nobody waits for would keep it running.
  Deno.exit(await main(args, host));
}
