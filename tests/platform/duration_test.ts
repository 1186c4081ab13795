import assert from "node:assert/strict";
import fc from "fast-check";
import { parseDuration } from "../../platform/duration.ts";
import { PilotError } from "../../protocol/errors.ts";

Deno.test("parseDuration reads Go syntax and seconds", () => {
  const cases: [string, number][] = [
    ["500ms", 500],
    ["30s", 30_000],
    ["1.5s", 1500],
    ["2m", 120_000],
    ["1h30m", 5_400_000],
    ["250us", 0.25],
    ["30", 30_000],
    ["0.5", 500],
    ["0", 0],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

Deno.test("parseDuration refuses everything else", () => {
  for (
    const text of ["", "s", "5 s", "-1s", "1d", "ms5", "1e3", "1h30", "9999h", "Infinity", "NaN"]
  ) {
    assert.throws(
      () => parseDuration(text),
      (error) => error instanceof PilotError && error.code === "invalid_argument",
      text,
    );
  }
});

Deno.test("parseDuration gives a timer's range or an error for any text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      const ms = parseDuration(text);
      assert.ok(ms >= 0 && ms <= 0x7fffffff);
    } catch (error) {
      assert.ok(error instanceof PilotError);
    }
  }));
});
