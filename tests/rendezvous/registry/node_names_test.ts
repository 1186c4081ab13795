/** Hostnames, tags and keys (docs/protocol/registry.md §5.1, §8.5). */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  canonicalKey,
  cleanTags,
  hostnameProblem,
} from "../../../rendezvous/registry/node_names.ts";

const HOSTNAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const RESERVED = ["localhost", "backbone", "broadcast"];

Deno.test("hostnameProblem accepts exactly what the reference accepts", () => {
  const name = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "9", "-", "B", ".", "\n"), maxLength: 70 }),
    fc.string({ unit: fc.constantFrom("a", "-"), minLength: 60, maxLength: 66 }),
    fc.constantFrom(...RESERVED, "a\n", "a"),
  );
  fc.assert(fc.property(name, (text) => {
    const valid = HOSTNAME.test(text) && !text.endsWith("\n") && !RESERVED.includes(text);
    assert.equal(hostnameProblem(text) === undefined, valid);
  }));
});

Deno.test("cleanTags is idempotent and keeps order", () => {
  const tag = fc.stringMatching(/^#?[a-z0-9]{1,5}$/);
  fc.assert(fc.property(fc.array(tag, { maxLength: 10 }), (tags) => {
    const clean = cleanTags(tags);
    assert.deepEqual(cleanTags(clean), clean);
    assert.equal(new Set(clean).size, clean.length);
    const stripped = tags.map((text) => text.replace(/^#/, ""));
    assert.deepEqual(clean, [...new Set(stripped)]);
  }));
});

Deno.test("canonicalKey accepts 32 bytes in base64 and nothing else", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 30, maxLength: 34 }), (bytes) => {
    const text = btoa(String.fromCharCode(...bytes));
    assert.equal(canonicalKey(text), bytes.length === 32 ? text : undefined);
  }));
  for (const bad of ["", "=".repeat(44), "-".repeat(43) + "=", "A".repeat(43), "\n".repeat(9999)]) {
    assert.equal(canonicalKey(bad), undefined);
  }
});
