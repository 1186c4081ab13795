/** Nothing is printed but through the places that make it harmless (`cli/terminal_text.ts`, `platform/log.ts`). */

import assert from "node:assert/strict";
import { productSources, withoutStrings } from "../sources.ts";

/** What prints, and where it may. */
const RULES: readonly (readonly [what: RegExp, where: readonly string[]])[] = [
  [/\bconsole\s*\./, []],
  [/\bprocess\s*\.\s*(?:stdout|stderr)\b/, []],
  [/\bDeno\s*\.\s*(?:stdout|stderr)\b/, ["cli/host_deno.ts"]],
  [/\bwriteSync\s*\(/, ["cli/host_deno.ts", "platform/log.ts"]],
  [/\b(?:stdout|stderr|out)\s*\??\.\s*write\s*\(/, ["cli/terminal_text.ts"]],
  // A text may say of itself that it is safe where it is put together, and where it is a script of ours.
  [/\bnew SafeText\s*\(/, [
    "cli/terminal_text.ts",
    "cli/output.ts",
    "cli/commands/setup_commands.ts",
  ]],
  [/\bas\s+(?:unknown\s+as\s+)?SafeText\b/, []],
];

function found(pattern: RegExp): string[] {
  return productSources().filter(({ text }) => pattern.test(withoutStrings(text)))
    .map(({ path }) => path);
}

for (const [pattern, where] of RULES) {
  Deno.test(`only ${where.join(", ") || "nobody"} prints with ${pattern.source}`, () => {
    assert.deepEqual(found(pattern), [...where].sort());
  });
}

Deno.test("a print in a template or behind a comment is found, one in a string is none", () => {
  const prints = (code: string) => RULES.some(([what]) => what.test(withoutStrings(code)));
  assert.ok(prints("/* harmless */ console.log(topic)"));
  assert.ok(prints("call.host.stdout.write(topic)"));
  assert.ok(prints("host.stderr.write(`${topic}`)"));
  assert.ok(prints("`${Deno.stdout.writeSync(bytes)}`"));
  assert.ok(!prints('const text = "console.log(topic)"; // console.log'));
});
