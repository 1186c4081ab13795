/**
 * Faults that change nothing anybody could notice. Each is named here once, so that it does not count.
 *
 * @module
 */

import { changeText, type Mutant } from "./mutants.ts";

/** A fault that changes nothing. */
export interface Equivalent {
  /** The file. */
  readonly path: string;
  /** The line of code without the spaces around it. */
  readonly line: string;
  /** The fault as {@linkcode changeText} writes it. */
  readonly change: string;
  /** Why it cannot be noticed. */
  readonly why: string;
}

/** All that are known. */
export const EQUIVALENTS: readonly Equivalent[] = [
  {
    path: "cli/parse.ts",
    line: "const network = /^\\d{1,5}$/.test(text) ? Number(text) : MAX_NETWORK + 1;",
    change: "1 -> 2",
    why: "any number above the highest is refused alike",
  },
  {
    path: "rendezvous/beacon/mappings.ts",
    line: "const count = (this.#perSource.get(key) ?? 1) - 1;",
    change: "1 -> 2",
    why: "what is taken off has been counted, so the default is for the type checker alone",
  },
];

/**
 * The entry that names a fault.
 *
 * @param path The file.
 * @param source Its text.
 * @param mutant A fault of it.
 * @param table The entries.
 * @returns The entry; undefined when the fault should be noticed.
 */
export function equivalentOf(
  path: string,
  source: string,
  mutant: Mutant,
  table: readonly Equivalent[] = EQUIVALENTS,
): Equivalent | undefined {
  const line = source.split("\n")[mutant.line - 1]!.trim();
  const change = changeText(mutant);
  return table.find((entry) =>
    entry.path === path && entry.line === line && entry.change === change
  );
}
