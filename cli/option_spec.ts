/**
 * How an option is written down.
 *
 * @module
 */

/** One option. */
export interface OptionSpec {
  /** `--count <n>`, `--clear`, `--wait [duration]`. */
  flags: string;
  /** One line of help, with the unit and the default. */
  description: string;
  /** Checks and converts the text. */
  parse?: (text: string) => unknown;
  /** For options that may be given several times: makes the parser that gathers the values. */
  collect?: () => (text: string) => string[];
}
