/**
 * `rendezvous backup` and `rendezvous import`: work on the store of a registry.
 *
 * @module
 */

import { join } from "node:path";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { safe, show } from "../terminal_text.ts";
import type { CommandSpec } from "../spec.ts";

const STORE_OPTION = {
  flags: "--store <dir>",
  description: "Directory of the store (<home>/rendezvous)",
};

/** The store directory, as `rendezvous` itself finds it. */
async function storeOf(call: Invocation): Promise<string> {
  if (call.options.flag("memory") === true) throw usageError("--memory has no store");
  return call.options.text("store") ?? join((await call.settings()).home, "rendezvous");
}

async function backup(call: Invocation): Promise<Outcome> {
  const file = call.arg(0, "file");
  const store = await storeOf(call);
  const tools = await call.host.roles.rendezvousStore();
  const force = call.options.flag("force") ?? false;
  const { bytes, nodes, schema } = await tools.backup({ store, file, force });
  return {
    data: { file, store, bytes, nodes, schema },
    text: safe`${file}: ${counted(nodes, "node")}, ${bytes} bytes, checked.
To restore: stop the server, put the file into a new directory as registry.db, start with --store on it.
Daemons that pin its keys need them there, too: registry.json, tls.crt and tls.key of ${store}.`,
  };
}

async function importSnapshot(call: Invocation): Promise<Outcome> {
  const file = call.arg(0, "file");
  const store = await storeOf(call);
  const tools = await call.host.roles.rendezvousStore();
  const requireChecksum = call.options.flag("require-checksum") ?? false;
  const { counts, warnings } = await tools.import({ store, file, requireChecksum });
  if (!call.json) {
    for (const warning of warnings) show(call.host.stderr, `warning: ${warning}`);
  }
  const list = Object.entries(counts).map(([kind, count]) =>
    `${count} ${kind.replaceAll("_", " ")}`
  ).join(", ");
  return {
    data: { file, store, counts, warnings },
    text: `Imported into ${store}: ${list}`,
  };
}

/** The sub-commands of `rendezvous` that need no running server. */
export const rendezvousStoreCommands: readonly CommandSpec[] = [
  {
    name: "backup",
    summary: "Copy the store to one file, also while the server runs",
    args: "<file>",
    options: [
      STORE_OPTION,
      { flags: "--force", description: "Replace the file if it exists" },
    ],
    examples: ["rendezvous backup /var/backups/registry.db --store /var/lib/pilot"],
    notes:
      `Everything that was answered before the backup began is in it. The file is private (mode 0600) and is
checked before it takes its name. A restored registry does not know what happened after the backup.

Restore:
  Stop the server, put the file into a new, empty directory under the name registry.db, and start
  the server with --store on that directory. In the old directory registry.db-wal and
  registry.db-shm must be removed together with registry.db: they belong to the replaced database.
  registry.json, tls.crt and tls.key are not in the backup: keep copies of them, for daemons may
  pin that key and certificate.`,
    returns: "file, store, bytes, nodes, schema",
    run: backup,
  },
  {
    name: "import",
    summary: "Fill an empty store from the JSON snapshot of an existing registry",
    args: "<file>",
    options: [
      STORE_OPTION,
      {
        flags: "--require-checksum",
        description: "Refuse a snapshot whose checksum is missing or wrong (a warning otherwise)",
      },
    ],
    examples: ["rendezvous import registry.json --store /var/lib/pilot"],
    notes: `All or nothing: an invalid record is named and nothing is imported. The store must be
new or empty and its server stopped. Numbers, keys, networks, trust, waiting handshakes and invites
come over; history, audit log and settings of the old registry do not.`,
    returns: "file, store, counts{kind: number}, warnings[]",
    run: importSnapshot,
  },
];
