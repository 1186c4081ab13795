/**
 * `deno task check`: everything that can be judged without running the product. All parts are run; the output of
 * those that fail is shown, and the last line names them.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url);

/** The spell checker, which may only read. Its dictionary has the words that are right and that English lacks. */
const SPELLING: readonly string[] = [
  ...["run", "-q", "-P=spelling", config.imports.cspell, "lint"],
  ...["--config", "scripts/spelling/cspell.json", "--no-progress", "--no-color"],
];

/** Parts in the order in which they are quickest to fix: name, and arguments for this Deno. */
const PARTS: readonly (readonly [string, readonly string[]])[] = [
  ["format", ["fmt", "--check"]],
  ["lint", ["lint"]],
  ["spelling", SPELLING],
  ["types, lock file", ["check", "--frozen", "."]],
  ["documentation", ["doc", "--lint", ...Object.values(config.exports)]],
  ["house rules", ["test", "-q", "-P=test", "--no-check", "tests/repo/rules"]],
  ["package", ["publish", "--dry-run", "--allow-dirty"]],
];

/** Runs one part; its output, or undefined when it passed. */
async function failureOf(args: readonly string[]): Promise<string | undefined> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return success ? undefined : text.decode(stdout) + text.decode(stderr);
}

const failed: string[] = [];
for (const [name, args] of PARTS) {
  const started = performance.now();
  const output = await failureOf(args);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${output === undefined ? "ok    " : "FAILED"}  ${name} (${seconds} s)`);
  if (output === undefined) continue;
  failed.push(name);
  console.log(`$ deno ${args.join(" ")}\n${output.trimEnd()}\n`);
}
console.log(failed.length === 0 ? "check: ok" : `check: failed: ${failed.join(", ")}`);
Deno.exit(failed.length === 0 ? 0 : 1);
