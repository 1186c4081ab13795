/** `deno task mutate`: it finds the right spots, touches nothing but a copy, and prints what no test notices. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { closestTests, TARGETS } from "../../scripts/mutate/closest_tests.ts";
import { equivalentOf, EQUIVALENTS } from "../../scripts/mutate/equivalents.ts";
import {
  changeText,
  everyKth,
  type Mutant,
  mutantsOf,
  mutated,
} from "../../scripts/mutate/mutants.ts";
import { placeText, reportText } from "../../scripts/mutate/mutate_report.ts";
import { tryMutants } from "../../scripts/mutate/trial.ts";
import { productSources, type SourceFile, sourcesOf } from "./sources.ts";

/** Faults of a text, as they are printed. */
function faults(source: string): string[] {
  return mutantsOf(source).map((mutant) => `${mutant.line}: ${changeText(mutant)}`);
}

Deno.test("mutantsOf exchanges operators, literals and Math.min, and negates and drops", () => {
  const source = `const LIMIT = 4 * 1024;
export function f(list: readonly Map<string, number>[], n: number): number {
  if (n < 1 && n !== 7) return 0;
  let sum = -n;
  for (const one of list) {
    notes.push(one);
    sum += Math.min(one.get("a < b")!, n - 1);
  }
  return n === LIMIT ? sum : 1;
}
`;
  assert.deepEqual(faults(source), [
    "3: n < 1 && n !== 7 -> !(n < 1 && n !== 7)",
    "3: < -> <=",
    "3: 1 -> 2",
    "3: && -> ||",
    "3: !== -> ===",
    "3: 7 -> 8",
    "3: return 0; ->",
    "3: 0 -> 1",
    "6: notes.push(one); ->",
    '7: sum += Math.min(one.get("a < b")!, n - 1); ->',
    "7: += -> -=",
    "7: min -> max",
    "7: - -> +",
    "7: 1 -> 2",
    "9: === -> !==",
    "9: 1 -> 2",
  ]);
});

Deno.test("mutantsOf leaves types, names, comments, texts, named constants and constructors' assignments alone", () => {
  const source = `/** 1 < 2 && 3 */
type Pair = readonly [first: 1, second: true];
const DELAYS: readonly number[] = [0, 100, 5 + 1];
const RATE = { perSecond: 20, burst: -64 } as const;
const isOn: boolean = true; // false
class A<T extends object> {
  static readonly MOST = 2 ** 10;
  #value: T | undefined;
  constructor(value: T) {
    this.#value = value;
  }
  text(): string {
    return "a < b " + \`\${this.#value as unknown} && 1\`;
  }
}
`;
  assert.deepEqual(faults(source), ["5: true -> false"]);
});

Deno.test("every mutant of the product is another program, and one that can be read", () => {
  for (const { path, text } of productSources().filter(({ path }) => path in TARGETS)) {
    const mutants = mutantsOf(text);
    assert.ok(mutants.length >= 20, path);
    for (const { start, end, before, after, line } of mutants) {
      assert.equal(text.slice(start, end), before);
      assert.notEqual(before, after);
      assert.equal(text.slice(0, start).split("\n").length, line);
    }
    // A text that is no program would throw, and every test notice.
    for (const mutant of everyKth(mutants, 20)) mutantsOf(mutated(text, mutant));
  }
});

Deno.test("everyKth takes the same few at every run, spread over all", () => {
  const all = Array.from({ length: 100 }, (_, i) => i);
  assert.deepEqual(everyKth(all, 4), [12, 37, 62, 87]);
  assert.deepEqual(everyKth(all, 4), everyKth(all, 4));
  assert.deepEqual(everyKth([1, 2], 5), [1, 2]);
});

Deno.test("every equivalent names a fault of the code as it stands, once", () => {
  const sources = new Map(productSources().map(({ path, text }) => [path, text]));
  for (const entry of EQUIVALENTS) {
    const text = sources.get(entry.path);
    assert.ok(text !== undefined, `${entry.path} is no file`);
    const found = mutantsOf(text).filter((mutant) =>
      equivalentOf(entry.path, text, mutant, [entry]) === entry
    );
    assert.ok(found.length > 0, `${entry.path}: ${entry.line}: ${entry.change} is not there`);
    assert.ok(entry.why.length > 10);
  }
  const keys = EQUIVALENTS.map(({ path, line, change }) => `${path} ${line} ${change}`);
  assert.equal(new Set(keys).size, keys.length);
});

Deno.test("closestTests takes the mirror image and importers of the file, nothing distant", () => {
  const test = (path: string, text = ""): SourceFile => ({ path, room: "tests", text });
  const imports = 'import { x } from "../../a/b.ts";';
  const tests = [
    test("tests/a/b_test.ts"),
    test("tests/a/user_test.ts", imports),
    test("tests/a/other_test.ts"),
    test("tests/a/support.ts", imports),
    test("tests/sim/far_test.ts", imports),
  ];
  assert.deepEqual(closestTests("a/b.ts", tests), ["tests/a/b_test.ts", "tests/a/user_test.ts"]);
  assert.deepEqual(closestTests("a/met_by_mod.ts", tests), [
    "tests/a/b_test.ts",
    "tests/a/user_test.ts",
    "tests/a/other_test.ts",
  ]);
  const paths = new Set(sourcesOf(["tests"]).map(({ path }) => path));
  for (const [file, named] of Object.entries(TARGETS)) {
    assert.deepEqual(closestTests(file, []), named);
    for (const path of named) {
      assert.ok(paths.has(path) || [...paths].some((one) => one.startsWith(`${path}/`)), path);
    }
  }
});

/** A tree with one file and one test, which does not notice everything. */
async function withTree(run: (root: string, source: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const source = `export function isSmall(n: number): boolean {
  while (n > 100) n--;
  return n < 10;
}
`;
    await Deno.writeTextFile(join(root, "deno.json"), '{ "permissions": { "test": {} } }');
    await Deno.writeTextFile(join(root, "small.ts"), source);
    await Deno.writeTextFile(
      join(root, "small_test.ts"),
      `import { isSmall } from "./small.ts";
Deno.test("small", () => {
  if (!isSmall(3) || isSmall(30) || isSmall(101)) throw new Error("no");
});
`,
    );
    await run(root, source);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("tryMutants distinguishes what is noticed from what is not, and leaves the tree as it was", () =>
  withTree(async (root, source) => {
    const before = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
    const pick = (change: string): Mutant =>
      mutantsOf(source).find((mutant) => changeText(mutant) === change)!;
    const mutants = ["< -> <=", "10 -> 11"].map(pick);
    const noticed: Mutant = { ...pick("< -> <="), after: ">" };
    const path = "small.ts";
    const verdict = await tryMutants(root, path, ["small_test.ts"], [...mutants, noticed], {
      jobs: 2,
    });
    assert.deepEqual(verdict, { killed: [noticed], survivors: mutants });
    assert.equal(placeText(path, verdict.survivors[0]!), "small.ts:3  < -> <=");
    assert.equal(await Deno.readTextFile(join(root, path)), source);
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name).sort(), before);
  }));

Deno.test("a test that does not end has noticed the fault", () =>
  withTree(async (root, source) => {
    const hangs = mutantsOf(source).filter((mutant) => changeText(mutant) === "-- -> ++");
    assert.equal(hangs.length, 1);
    const options = { jobs: 1, slackMs: 100 };
    const verdict = await tryMutants(root, "small.ts", ["small_test.ts"], hangs, options);
    assert.deepEqual(verdict, { killed: hangs, survivors: [] });
  }));

Deno.test("tryMutants refuses a file whose tests fail anyhow, or that has none", () =>
  withTree(async (root, source) => {
    const mutants = mutantsOf(source);
    await assert.rejects(
      tryMutants(root, "small.ts", [], mutants, { jobs: 1 }),
      /must pass without a fault/,
    );
    await Deno.writeTextFile(join(root, "small_test.ts"), "throw new Error();");
    await assert.rejects(
      tryMutants(root, "small.ts", ["small_test.ts"], mutants, { jobs: 1 }),
      /must pass without a fault/,
    );
  }));

Deno.test("the report has one line a file", () => {
  assert.equal(
    reportText({ path: "a.ts", tried: 19, killed: 18, equivalent: 1, survivors: ["x"] }),
    "a.ts: 19 mutants, 18 killed (94 %), 1 equivalent, 1 survive",
  );
});
