/**
 * The version of this package, in one place for programs that cannot read deno.json at run time.
 *
 * @module
 */

/** The same as `version` in deno.json; a test holds them together. */
export const VERSION = "0.1.0";
