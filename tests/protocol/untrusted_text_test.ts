import assert from "node:assert/strict";
import fc from "fast-check";
import { cleanText } from "../../protocol/trust/trust_peer.ts";
import { escapeUnsafe, replaceUnsafe } from "../../protocol/untrusted_text.ts";

// cspell:ignore grüße مرحبا שלום

/** By number, so that this file does not repeat the expression it tests. */
const RANGES: readonly (readonly [from: number, to: number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x2060],
  [0x2066, 0x2069],
  [0xfeff, 0xfeff],
  [0xd800, 0xdfff],
  [0xe0000, 0xe007f],
];

Deno.test("replaceUnsafe takes away every character that steers, hides or breaks lines", () => {
  for (const [from, to] of RANGES) {
    for (let code = from; code <= to; code++) {
      const text = `a${String.fromCodePoint(code)}b`;
      const shown = replaceUnsafe(text);
      assert.ok(/^a\?+b$/.test(shown), `U+${code.toString(16)}: ${JSON.stringify(shown)}`);
    }
  }
});

Deno.test("replaceUnsafe leaves what people write", () => {
  for (
    const text of ["grüße", "日本語", "مرحبا", "שלום", "🙂", "a b", "e\u0301", "🇩🇪", "~!@#$%^&*()"]
  ) assert.equal(replaceUnsafe(text), text);
});

Deno.test("escapeUnsafe of JSON is JSON of the same value, without unsafe characters", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const hostile = `${text}\u009b2J\u202e\u200b\u2028\ufeff\u{e0041}`;
    const escaped = escapeUnsafe(JSON.stringify({ [hostile]: hostile }));
    assert.equal(replaceUnsafe(escaped), escaped);
    assert.deepEqual(JSON.parse(escaped), { [hostile]: hostile });
  }));
});

Deno.test("cleanText takes away the same characters", () => {
  for (const [from, to] of RANGES) {
    if (from === 0xd800) continue; // become U+FFFD
    for (const code of [from, to]) {
      assert.match(cleanText(`a${String.fromCodePoint(code)}b`), /^a +b$/, code.toString(16));
    }
  }
});
