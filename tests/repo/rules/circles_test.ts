import assert from "node:assert/strict";
import { importsOf, productSources, type SourceFile, sourcesOf } from "../sources.ts";

/**
 * Files that can be reached from each other by imports, type-only ones included (Tarjan's strongly connected
 * components).
 */
function circlesOf(files: readonly SourceFile[]): string[] {
  const known = new Set(files.map(({ path }) => path));
  const next = new Map(files.map((file) => [
    file.path,
    importsOf(file).map(({ from }) => from).filter((from) => known.has(from)),
  ]));
  const circles: string[] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  /** The first of the open files that can be reached from this one. */
  const visit = (path: string): number => {
    const own = order.size;
    order.set(path, own);
    open.push(path);
    let first = own;
    for (const other of next.get(path)!) {
      if (!order.has(other)) first = Math.min(first, visit(other));
      else if (open.includes(other)) first = Math.min(first, order.get(other)!);
    }
    if (first === own) {
      const members = open.splice(open.indexOf(path));
      const isCircle = members.length > 1 || next.get(path)!.includes(path);
      if (isCircle) circles.push(members.sort().join(", "));
    }
    return first;
  };
  for (const { path } of files) if (!order.has(path)) visit(path);
  return circles.sort();
}

Deno.test("no files of the product or the scripts import each other in a circle", () => {
  const circles = circlesOf([...productSources(), ...sourcesOf(["scripts"])]);
  assert.deepEqual(circles, []);
});

Deno.test("circlesOf finds circles of values, of types and of one file, and nothing else", () => {
  const file = (path: string, ...lines: string[]): SourceFile => ({
    path,
    room: path.split("/")[0]!,
    text: lines.join("\n"),
  });
  const files = [
    file("a/one.ts", 'import { two } from "./two.ts";', 'import { leaf } from "../leaf.ts";'),
    file("a/two.ts", 'export { three } from "../b/three.ts";'),
    file("b/three.ts", 'import type { One } from "../a/one.ts";'),
    // Shared, without a way back: no circle, though two ways lead here.
    file("leaf.ts", 'import assert from "node:assert/strict";'),
    file("b/user.ts", 'import { one } from "../a/one.ts";', 'import { leaf } from "../leaf.ts";'),
    file("c/self.ts", 'const self = await import("./self.ts");'),
    file("d/inline.ts", 'import { type Back } from "./back.ts";'),
    file("d/back.ts", 'import "./inline.ts";', '// import "../b/user.ts";'),
  ];
  assert.deepEqual(circlesOf(files), [
    "a/one.ts, a/two.ts, b/three.ts",
    "c/self.ts",
    "d/back.ts, d/inline.ts",
  ]);
});
