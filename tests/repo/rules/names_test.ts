import assert from "node:assert/strict";
import { basename } from "node:path";
import { productSources, sourcesOf } from "../sources.ts";

/** Every folder may have these: what it exports, and a program's beginning. */
const SHARED: readonly string[] = ["mod.ts", "main.ts"];

/** Files that share their name with another one. */
function namesakesOf(paths: readonly string[]): string[] {
  const byName = Map.groupBy(paths, (path) => basename(path));
  return [...byName]
    .filter(([name, same]) => same.length > 1 && !SHARED.includes(name))
    .flatMap(([, same]) => same);
}

Deno.test("no two files of the product or the scripts have one name", () => {
  const files = [...productSources(), ...sourcesOf(["scripts"])];
  assert.deepEqual(namesakesOf(files.map(({ path }) => path)), []);
});

Deno.test("namesakesOf finds files of one name, in whatever folders, and lets mod.ts and main.ts be", () => {
  assert.deepEqual(
    namesakesOf(["a/mod.ts", "b/mod.ts", "a/main.ts", "main.ts", "a/x.ts", "b/c/x.ts", "b/y.ts"]),
    ["a/x.ts", "b/c/x.ts"],
  );
});
