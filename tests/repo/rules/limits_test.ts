import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Limit, limitsOf } from "../../../scripts/limits/constants.ts";
import { limitsDocument } from "../../../scripts/limits/limits_document.ts";
import { productSources, ROOT } from "../sources.ts";

const sources = productSources();
const limits = limitsOf(sources);

/** What a module exports by the name of a limit, `TABLE.option` included. */
async function exported({ path, name }: Limit): Promise<unknown> {
  const module = await import(pathToFileURL(join(ROOT, path)).href);
  return name.split(".").reduce((value, key) => value[key], module);
}

Deno.test("docs/LIMITS.md is what the source says (else: deno task limits)", () => {
  assert.equal(readFileSync(join(ROOT, "docs/LIMITS.md"), "utf8"), limitsDocument(limits));
});

Deno.test("every limit has its reason beside it", () => {
  const silent = limits.filter(({ why }) => why === "");
  assert.deepEqual(silent.map(({ path, name }) => `${path}: ${name}`), []);
});

Deno.test("the documented values are those the modules export", async () => {
  for (const limit of limits.filter(({ isExported }) => isExported)) {
    assert.deepEqual(await exported(limit), limit.value, `${limit.path}: ${limit.name}`);
  }
});

Deno.test("no exported limit is missing", () => {
  const listed = new Set(limits.map(({ path, name }) => `${path}: ${name}`));
  const missing = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^export const (\w*(?:MAX_|_MAX|_LIMIT|_RATE)\w*)\b/gm)]
      .map(([, name]) => `${path}: ${name}`)
      .filter((name) => !listed.has(name))
  );
  assert.deepEqual(missing, []);
});

Deno.test("limitsOf computes expressions across files and keeps comments", () => {
  const file = (path: string, text: string) => ({ path, room: path.split("/")[0]!, text });
  const found = limitsOf([
    file("a/b.ts", "/** Of b. */\nexport const MAX_B_BYTES = 4 * 1024;\n"),
    file(
      "a/c.ts",
      `import { MAX_B_BYTES } from "./b.ts";
/** Twice {@linkcode MAX_B_BYTES},
 * and one. */
const MAX_C: number = 2 * MAX_B_BYTES + 0x1;
const NAME_MAX = "no number";
export const RATE = { perSecond: 1_000, burst: 2 } as const; // slow
`,
    ),
  ]);
  assert.deepEqual(found, [
    { name: "MAX_B_BYTES", value: 4096, why: "Of b.", path: "a/b.ts", isExported: true },
    {
      name: "MAX_C",
      value: 8193,
      why: "Twice `MAX_B_BYTES`, and one.",
      path: "a/c.ts",
      isExported: false,
    },
    {
      name: "RATE",
      value: { perSecond: 1000, burst: 2 },
      why: "slow",
      path: "a/c.ts",
      isExported: true,
    },
  ]);
});
