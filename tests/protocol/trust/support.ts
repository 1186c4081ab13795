/**
 * What tests of the trust state share.
 *
 * @module
 */

import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import type { TrustState } from "../../../protocol/trust/state.ts";
import { range } from "../hex.ts";

/** Unix milliseconds. */
export const NOW = 1_700_000_000_000;
/** A key of the peer. */
export const KEY: Uint8Array = range(1, 32);
/** What is known when the peer says something. */
export const context = { now: NOW, publicKey: KEY };
/** The peer's node. */
export const PEER = 5;

/** Is it an error with this code? */
export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof PilotError && error.code === code;
}

/** Runs `change` and tells whether trust.json has to be written again; the revision must say the same. */
export function changes(state: TrustState, change: () => unknown): boolean {
  const [file, revision] = [state.toFile(), state.revision];
  change();
  const changed = state.toFile() !== file;
  if (changed) assert.notEqual(state.revision, revision);
  return changed;
}
