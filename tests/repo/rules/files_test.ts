import assert from "node:assert/strict";
import { basename } from "node:path";
import { productSources, sourcesOf, withoutComments } from "../sources.ts";

/** Lines of a file: one that needs more is two files. */
const MAX_LINES = 500;

const product = productSources();
const everything = [...product, ...sourcesOf(["tests", "scripts"])];

Deno.test(`no file has more than ${MAX_LINES} lines`, () => {
  const long = everything
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > MAX_LINES);
  assert.deepEqual(long, []);
});

Deno.test("files are named in snake_case", () => {
  const wrong = everything.filter(({ path }) => !/^[a-z0-9_]+\.ts$/.test(basename(path)));
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("every file of the product begins with a doc comment", () => {
  const wrong = product.filter(({ text }) => !/^(?:#!.*\n)?\/\*\*/.test(text));
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("nothing is left to do later", () => {
  const wrong = everything.filter(({ text }) => /\b(?:TODO|FIXME|XXX)\b/.test(text))
    .filter(({ path }) => path !== "tests/repo/rules/files_test.ts");
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

/** Loopback, unspecified, broadcast, private, link-local, shared and documentation ranges. */
const HARMLESS_IPV4 =
  /^(?:127\.|0\.0\.0\.0|255\.255\.255\.255|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.64\.|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)/;
/** Names of the kind that resolve to somewhere. */
const PUBLIC_NAME =
  /"(?:[a-z]+:\/\/)?(?:[a-z0-9-]+\.)+(?:com|net|org|io|dev|network|cloud|ai|xyz)\b/i;

Deno.test("no public address is built into the product", () => {
  const found = product.flatMap(({ path, text }) => {
    const code = withoutComments(text);
    const addresses = (code.match(/\b\d{1,3}(?:\.\d{1,3}){3}\b/g) ?? [])
      .filter((address) => !HARMLESS_IPV4.test(address));
    return [...addresses, ...(code.match(PUBLIC_NAME) ?? [])].map((what) => `${path}: ${what}`);
  });
  assert.deepEqual(found, []);
});
