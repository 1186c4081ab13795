/**
 * What is printed of faults and who noticed them.
 *
 * @module
 */

import { changeText, type Mutant } from "./mutants.ts";

/** The figures of one file. */
export interface FileReport {
  /** The file. */
  readonly path: string;
  /** Faults tried, those without those named equivalent. */
  readonly tried: number;
  /** Faults that a test noticed. */
  readonly killed: number;
  /** Faults that were left out because they change nothing. */
  readonly equivalent: number;
  /** Where no test noticed anything, a line each. */
  readonly survivors: readonly string[];
}

/**
 * A fault with its place.
 *
 * @param path The file.
 * @param mutant The fault.
 * @returns `file:line  before -> after`.
 */
export function placeText(path: string, mutant: Mutant): string {
  return `${path}:${mutant.line}  ${changeText(mutant)}`;
}

/**
 * The figures of one file.
 *
 * @param report The figures.
 * @returns One line.
 */
export function reportText({ path, tried, killed, equivalent, survivors }: FileReport): string {
  const share = tried === 0 ? 100 : Math.floor(100 * killed / tried);
  return `${path}: ${tried} mutants, ${killed} killed (${share} %), ` +
    `${equivalent} equivalent, ${survivors.length} survive`;
}
