/** What docs/SECURITY.md promises is shown by tests that exist. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../sources.ts";

/** `` `path_test.ts` "name" ``, the path below `tests/`. */
const NAMED = /`([\w/]+_test\.ts)` "([^"]+)"/g;

/** Why a named test is none; undefined when it is one. Part of a name is enough, as some are put together. */
function problem(path: string, name: string): string | undefined {
  const file = join(ROOT, "tests", path);
  if (!existsSync(file)) return `${path} does not exist`;
  const text = readFileSync(file, "utf8").replaceAll(/^\s*(?:\/\/|\*).*$/gm, "");
  const isThere = ['"', "`"].some((quote) => text.includes(`${quote}${name}`));
  return isThere ? undefined : `${path} has no test "${name}"`;
}

/** The rows of all tables under a heading, as cells. */
function rowsUnder(markdown: string, heading: string): string[][] {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return section.split("\n").filter((line) => /^\| (?!-|who )/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const markdown = readFileSync(join(ROOT, "docs/SECURITY.md"), "utf8");

Deno.test("each row of the threat model names a test that exists", () => {
  const rows = rowsUnder(markdown, "Threats");
  assert.ok(rows.length >= 30, `${rows.length} rows`);
  for (const [who, , cannot, test] of rows) {
    assert.ok(cannot !== undefined && cannot !== "", `${who}: cannot what?`);
    const named = [...test!.matchAll(NAMED)];
    assert.ok(named.length > 0, `${who}: no test`);
    for (const [, path, name] of named) assert.equal(problem(path!, name!), undefined, who);
  }
});

Deno.test("a test that is not there, or only in a comment, is noticed", () => {
  const [path, name] = ["repo/rules/security_test.ts", "each row of the threat model"];
  assert.equal(problem(path, name), undefined);
  assert.match(problem("repo/rules/no_test.ts", name)!, /does not exist/);
  assert.match(problem(path, ["a test", "of nothing"].join(" "))!, /has no test/);
  // "commented out: nobody runs this"
  assert.match(problem(path, ["commented out:", "nobody runs this"].join(" "))!, /has no test/);
});
