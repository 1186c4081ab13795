import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { productSources, ROOT, sourcesOf } from "../sources.ts";

const text = readFileSync(join(ROOT, "scripts/spelling/words.txt"), "utf8");
const words = text.trimEnd().split("\n");

Deno.test("scripts/spelling/words.txt has one word per line, in lower case, sorted, each once", () => {
  assert.deepEqual(words, [...new Set(words.map((word) => word.toLowerCase()))].sort());
  assert.equal(text.endsWith("\n"), true);
});

Deno.test("scripts/spelling/words.txt has no word that nothing uses", () => {
  const documents = ["", "docs", "docs/protocol"].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md"))
      .map((name) => readFileSync(join(ROOT, folder, name), "utf8"))
  );
  const sources = [...productSources(), ...sourcesOf(["tests", "scripts"])].map(({ text }) => text);
  const everything = [...documents, ...sources].join("\n").toLowerCase();
  assert.deepEqual(words.filter((word) => !everything.includes(word)), []);
});
