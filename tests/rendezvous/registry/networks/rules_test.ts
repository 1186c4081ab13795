/** Managed rules and Go durations (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RegistryFailure } from "../../../../rendezvous/registry/failure.ts";
import { cleanRules, parseGoDuration } from "../../../../rendezvous/registry/networks/rules.ts";

const GOOD = {
  links: 4,
  cycle: "24h",
  prune: 4,
  prune_by: "activity",
  fill: 0,
  fill_how: "random",
};

Deno.test("parseGoDuration reads what Go writes", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["-0", 0],
    ["24h", 24 * 3600e9],
    ["1h30m", 5400e9],
    ["1h0m0.5s", 3600.5e9],
    ["-1.5h", -5400e9],
    ["+5s", 5e9],
    [".5s", 5e8],
    ["1.s", 1e9],
    ["300ms", 3e8],
    ["3us", 3e3],
    ["3\u00b5s", 3e3],
    ["3\u03bcs", 3e3],
    ["7ns", 7],
    ["1m1m", 120e9],
  ];
  for (const [text, ns] of cases) assert.equal(Math.abs(parseGoDuration(text)! - ns), 0, text);
});

Deno.test("parseGoDuration refuses everything else", () => {
  for (
    const text of [
      ...["", "-", "+", "5", "1.5", "h", ".h", ".", "1d", "1h ", " 1h", "1 h", "1h-5m", "--1h"],
      ...["1e3s", "0x1s", "1H", "9999999999h", "\u0661h", "1h".repeat(33), "00"],
    ]
  ) {
    assert.equal(parseGoDuration(text), undefined, text);
  }
});

Deno.test("parseGoDuration adds up any parts", () => {
  const part = fc.tuple(
    fc.integer({ min: 0, max: 1000 }),
    fc.constantFrom(["h", 3600], ["m", 60], ["s", 1]),
  );
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 9 }), (parts) => {
    const text = parts.map(([n, [unit]]) => `${n}${unit}`).join("");
    const seconds = parts.reduce((sum, [n, [, each]]) => sum + n * Number(each), 0);
    assert.equal(parseGoDuration(text), seconds * 1e9);
  }));
  fc.assert(fc.property(fc.string(), (text) => {
    const value = parseGoDuration(text);
    assert.ok(value === undefined || Number.isFinite(value));
  }));
});

Deno.test("cleanRules keeps the known fields of good rules", () => {
  assert.deepEqual(JSON.parse(cleanRules(GOOD)), GOOD);
  assert.deepEqual(JSON.parse(cleanRules(JSON.stringify({ ...GOOD, other: 1 }))), GOOD);
  assert.deepEqual(JSON.parse(cleanRules({ ...GOOD, grace: "" })), GOOD);
  const graceful = { ...GOOD, grace: "0s" };
  assert.deepEqual(JSON.parse(cleanRules(graceful)), graceful);
  for (const none of [undefined, null, "", "null"]) assert.equal(cleanRules(none), "");
});

Deno.test("cleanRules names the field that is wrong", () => {
  const wrong: [object, RegExp][] = [
    [{ links: 0 }, /invalid rules: links must be an integer from 1/],
    [{ links: 1.5 }, /links/],
    [{ links: "4" }, /links/],
    [{ cycle: "59s" }, /cycle must be a duration such as "24h", at least 1m/],
    [{ cycle: "soon" }, /cycle/],
    [{ cycle: 60 }, /cycle/],
    [{ prune: 5 }, /prune must be an integer from 0 to links/],
    [{ prune: -1 }, /prune/],
    [{ prune_by: "luck" }, /prune_by must be score, age, activity/],
    [{ fill: 5 }, /fill must be/],
    [{ fill_how: "best" }, /fill_how must be random/],
    [{ grace: "-1s" }, /grace must be a duration such as "24h", not negative/],
    [{ grace: 5 }, /grace/],
  ];
  for (const [fields, text] of wrong) {
    assert.throws(() => cleanRules({ ...GOOD, ...fields }), (error) => {
      assert.ok(error instanceof RegistryFailure);
      assert.match(error.reply.error, text);
      return true;
    });
  }
});

Deno.test("cleanRules gives rules or a refusal for anything", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    for (const sent of [value, JSON.stringify(value)]) {
      try {
        const text = cleanRules(sent);
        assert.ok(text === "" || JSON.parse(text).links >= 1);
      } catch (error) {
        assert.ok(error instanceof RegistryFailure);
      }
    }
  }));
});
