/**
 * The trust state as a daemon starts with it: trust.json, and the revocations that it could not take before.
 *
 * @module
 */

import type { TrustState } from "../../protocol/trust/mod.ts";
import { NO_TOMBSTONES, type RevocationJournal } from "./revocation_journal.ts";
import type { Tombstones } from "./saver.ts";

/** What is read, and where the state is written. */
export interface TrustFiles {
  /** Reads trust.json. */
  trust(): Promise<TrustState>;
  /** Writes trust.json. */
  saveTrust(json: string): Promise<void>;
  /** Opens the place for revocations that trust.json cannot take. */
  revocations(): Promise<RevocationJournal>;
}

/** A trust state and what keeps it. */
export interface OpenTrust {
  readonly state: TrustState;
  readonly tombstones: Tombstones;
  /** Closes the files. */
  close(): Promise<void>;
}

/**
 * Opens the trust state.
 *
 * @param files Where it is.
 * @param now Unix milliseconds.
 * @param warn Called with failures that do no harm.
 * @throws {PilotError} When trust.json is damaged or cannot be read.
 */
export async function openTrust(
  files: TrustFiles,
  now: number,
  warn: (message: string, fields: Record<string, unknown>) => void,
): Promise<OpenTrust> {
  const state = await files.trust();
  let journal: RevocationJournal;
  try {
    journal = await files.revocations();
  } catch (error) {
    warn("no place for revocations while the disk is full", { error: String(error) });
    return { state, tombstones: NO_TOMBSTONES, close: () => Promise.resolve() };
  }
  const before = state.revision;
  for (const { node, atMs, seenOrder } of journal.found) {
    state.endAgain(node, { now, atMs, seenOrder });
  }
  try {
    if (state.revision !== before) await files.saveTrust(state.toFile());
    await journal.clear();
  } catch (error) {
    warn("revocations stay beside trust.json", { error: String(error) });
  }
  return { state, tombstones: journal, close: () => journal.close() };
}
