/** What comments and documents cite is there: files, their sections, and in docs/protocol the code and tests that are named. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { citationProblem, citationsInDocument, citationsInSource } from "../citations.ts";
import { productSources, ROOT, sourcesOf } from "../sources.ts";

const documents = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll("\\", "/")),
].map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
const protocol = documents.filter(({ path }) => path.startsWith("docs/protocol/"));

Deno.test("source files cite documents and sections that exist", () => {
  const wrong = [...productSources(), ...sourcesOf(["tests", "scripts"])].flatMap((file) =>
    citationsInSource(file.text).map(citationProblem).filter((problem) => problem !== undefined)
      .map((problem) => `${file.path}: ${problem}`)
  );
  assert.deepEqual([...new Set(wrong)], []);
});

Deno.test("documents cite documents and sections that exist", () => {
  const wrong = documents.flatMap(({ path, text }) =>
    citationsInDocument(path, text).map(citationProblem).filter((problem) => problem !== undefined)
      .map((problem) => `${path}: ${problem}`)
  );
  assert.deepEqual([...new Set(wrong)], []);
});

Deno.test("documents of the protocol have numbered sections, each number once and in order", () => {
  for (const { path, text } of protocol) {
    if (path.endsWith("README.md")) continue;
    const headings = [...text.matchAll(/^(#{2,3}) (?:(\d+)(?:\.(\d+))?\.? )?/gm)];
    let [section, part] = [0, 0];
    for (const [line, hashes, major, minor] of headings) {
      [section, part] = hashes === "##" ? [section + 1, 0] : [section, part + 1];
      const expected = [String(section), part === 0 ? undefined : String(part)];
      assert.deepEqual([major, minor], expected, `${path}: ${line}`);
    }
    assert.ok(section > 0, path);
  }
});

Deno.test("code and tests that documents of the protocol name exist", () => {
  for (const { path, text } of protocol) {
    for (const [, name] of text.matchAll(/`((?:[a-z_0-9]+\/)+(?:[a-z_0-9]+\.ts)?)`/g)) {
      const isThere = ["", "tests/"].some((folder) => existsSync(join(ROOT, folder, name!)));
      assert.ok(isThere || /^(?:inbox|received)\//.test(name!), `${path}: ${name}`);
    }
  }
});

Deno.test("links between documents lead to headings that exist", () => {
  const slugs = (text: string) =>
    new Set(
      [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
        heading!.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-")
      ),
    );
  const byPath = new Map(documents.map(({ path, text }) => [path, slugs(text)]));
  for (const { path, text } of documents) {
    for (const [, name, anchor] of text.matchAll(/\]\(([\w/.-]*\.md)?#([\w-]+)\)/g)) {
      const target = join(name === undefined ? path : join(path, "..", name)).replaceAll("\\", "/");
      assert.ok(byPath.get(target)?.has(anchor!), `${path}: ${name ?? ""}#${anchor}`);
    }
  }
});

const TUNNEL = "docs/protocol/tunnel.md";
/** Put together here, so that the rule does not find it in this file. */
const NOTE = ["daemon", "md"].join(".");
const S = "\u00a7";

Deno.test("citationsInSource finds files, sections, lists, and numbers that follow a file", () => {
  const text = [
    "/**",
    ` * Frames (${TUNNEL} ${S}1.1, ${S}2). As RFC 8032 ${S}5.1.6, ${S}9 has it, and SP 800-38D ${S}6.4; see ${TUNNEL}`,
    ` * ${S}3.1.`,
    " */",
    `// Later (${S}4.3), and draft-teodor-pilot-protocol-01 ${S}7.5.`,
  ].join("\n");
  assert.deepEqual(citationsInSource(text), [
    { file: TUNNEL, section: undefined },
    { file: TUNNEL, section: "1.1" },
    { file: TUNNEL, section: "2" },
    { file: TUNNEL, section: undefined },
    { file: TUNNEL, section: "3.1" },
    { file: TUNNEL, section: "4.3" },
  ]);
  assert.deepEqual(citationsInSource(`// ${S}2`), [{ file: undefined, section: "2" }]);
});

Deno.test("citationsInDocument gives a section to the file before it, else to the document", () => {
  const link = ["[the tunnel](tunnel", "md)"].join(".");
  const text = `See ${link} ${S}2,\n${S}3, and ${S}4.\n\n## 9. Differs from the draft\n\n` +
    `| draft | here |\n| ${S}99.9 | as ${S}5 says |\n`;
  const path = "docs/protocol/streams.md";
  assert.deepEqual(citationsInDocument(path, text).filter(({ section }) => section !== undefined), [
    { file: TUNNEL, section: "2" },
    { file: TUNNEL, section: "3" },
    { file: TUNNEL, section: "4" },
    { file: path, section: "5" },
  ]);
});

Deno.test("a file or section that is not there is noticed", () => {
  assert.equal(citationProblem({ file: TUNNEL, section: "1.1" }), undefined);
  assert.equal(citationProblem({ file: "README.md", section: undefined }), undefined);
  assert.match(citationProblem({ file: TUNNEL, section: "99" })!, /has no/);
  assert.match(citationProblem({ file: NOTE, section: "1" })!, /not in the repository/);
  assert.match(citationProblem({ file: "tests/none.ts", section: undefined })!, /not in the/);
  assert.match(citationProblem({ file: undefined, section: "1" })!, /of which file/);
});
