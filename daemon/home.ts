/**
 * The daemon's home directory.
 *
 * @module
 */

import { dirname, join } from "node:path";
import process from "node:process";
import { ensurePrivateDir } from "../platform/private_files.ts";
import { checkPrivateDir } from "../platform/private_dir.ts";
import type { DaemonOptions } from "../platform/settings/mod.ts";

/** Where messages are, within the home. */
export const INBOX_DIR = "inbox";
/** Where received files are, within the home. */
export const RECEIVED_DIR = "received";

/**
 * Makes the home, and refuses one whose content others can change.
 *
 * @param options Where home and identity are.
 * @returns The user it belongs to, when that is neither this one nor root: it can change what this process does.
 * @throws {PilotError} `denied` when the home, a mailbox in it or the identity's directory belongs to another user or
 * is writable by other users; `io_error`.
 */
export async function openHome(
  { home, identity }: Pick<DaemonOptions, "home" | "identity">,
): Promise<{ foreignOwner: number | undefined }> {
  await ensurePrivateDir(home);
  const owner = await checkPrivateDir({ what: "Home directory", path: home });
  await checkPrivateDir({ what: "Inbox", path: join(home, INBOX_DIR) }, owner);
  await checkPrivateDir(
    { what: "Directory of received files", path: join(home, RECEIVED_DIR) },
    owner,
  );
  const keys = dirname(identity);
  // Secrets are mounted into directories like /tmp; the file itself is checked when it is read.
  await checkPrivateDir(
    { what: "Directory of the identity", path: keys, allowSticky: true },
    owner,
  );
  const isForeign = owner !== undefined && owner !== 0 && owner !== process.geteuid?.();
  return { foreignOwner: isForeign ? owner : undefined };
}
