/**
 * The options of one call, by name.
 *
 * @module
 */

import type { Command } from "commander";

/** Typed access to the options that were given. A name is the long flag without dashes. */
export class Options {
  readonly #values: ReadonlyMap<string, unknown>;

  /**
   * @param command The command that was called; options given before its name count too.
   */
  constructor(command: Command) {
    const chain: Command[] = [];
    for (let at: Command | null = command; at !== null; at = at.parent) chain.unshift(at);
    const values = new Map<string, unknown>();
    for (const at of chain) {
      for (const option of at.options) {
        const name = option.attributeName();
        // Commander's default of a `--no-x` option is true: not something that was asked for.
        if (at.getOptionValueSource(name) !== "cli") continue;
        values.set(name, at.getOptionValue(name));
      }
    }
    this.#values = values;
  }

  /** Text of an option. */
  text(name: string): string | undefined {
    const value = this.#values.get(attribute(name));
    return typeof value === "string" ? value : undefined;
  }

  /** Number of an option whose parser makes one. */
  number(name: string): number | undefined {
    const value = this.#values.get(attribute(name));
    return typeof value === "number" ? value : undefined;
  }

  /** Every value of an option that may be given several times. */
  list(name: string): readonly string[] {
    const value = this.#values.get(attribute(name));
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Whether an option was given, with or without a value. */
  has(name: string): boolean {
    return this.#values.has(attribute(name));
  }

  /** True for `--x`, false for `--no-x`, undefined when neither was given. */
  flag(name: string): boolean | undefined {
    const value = this.#values.get(attribute(name));
    return typeof value === "boolean" ? value : undefined;
  }
}

function attribute(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
