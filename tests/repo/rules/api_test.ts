/** The public surface changes by decision only. */

import assert from "node:assert/strict";
import { apiDocument } from "../../../scripts/api/api_document.ts";

const ROOT = new URL("../../../", import.meta.url);

Deno.test("docs/API.md is the public surface", async () => {
  const written = await Deno.readTextFile(new URL("docs/API.md", ROOT));
  const found = await apiDocument(ROOT.pathname);
  assert.equal(
    found,
    written,
    "The public surface has changed: deno task api writes it down; tell it in CHANGELOG.md.",
  );
});

Deno.test("docs/API.md shows what programs use", async () => {
  const document = await apiDocument(ROOT.pathname);
  for (
    const line of [
      "class Driver implements AsyncDisposable",
      "  readonly trust: Trust",
      "function parseAddress(text: string): Address",
      "class Rendezvous implements AsyncDisposable",
    ]
  ) assert.ok(document.includes(line), line);
  assert.doesNotMatch(document, /Defined in|@param|constructor\(session/);
});
