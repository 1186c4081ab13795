import assert from "node:assert/strict";
import fc from "fast-check";
import {
  NameStamp,
  sanitizeFileName,
  senderOfFileName,
  stampFileName,
} from "../../../daemon/service/stored_name.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { systemClock } from "../../../platform/system_clock.ts";

// cspell:ignore büro

Deno.test("sanitizeFileName keeps ordinary names and defuses the others", () => {
  const cases: [string, string][] = [
    ["report.pdf", "report.pdf"],
    ["büro 2.txt", "büro 2.txt"],
    ["../../etc/passwd", "passwd"],
    ["C:\\Windows\\x.exe", "x.exe"],
    [".bashrc", "bashrc"],
    ["..", "file"],
    ["", "file"],
    ["-rf", "rf"],
    ["a\nb\u0000c", "a_b_c"],
    ["gpj\u202Eexe.txt", "gpj_exe.txt"],
    ["trailing. ", "trailing"],
  ];
  for (const [name, wanted] of cases) {
    assert.equal(sanitizeFileName(name), wanted, JSON.stringify(name));
  }
});

Deno.test("stored names are plain, short and keep the extension, whatever the sender says", () => {
  const stamp = new NameStamp(systemClock, 999_999);
  fc.assert(fc.property(
    fc.oneof(
      fc.string({ maxLength: 400, unit: "binary" }),
      fc.string({ maxLength: 400 }).map((text) => `${text}.tar`),
      // Names that look like stored ones of other senders, cut anywhere.
      fc.tuple(fc.nat(50), fc.nat(50)).map(([from, length]) =>
        `a-20261121-013400.123-000042-from-7.x-20261121-013400.123-000042-from-7`
          .slice(from, from + length)
      ),
    ),
    fc.nat(0xffffffff),
    (name, sender) => {
      const stored = stampFileName(sanitizeFileName(name), stamp.next(), sender);
      assert.equal(senderOfFileName(stored), sender);
      assert.ok(new TextEncoder().encode(stored).length <= 255);
      assert.doesNotMatch(stored, /^[.-]|[/\\]|\p{Cc}/u);
      assert.notEqual(stored, "");
    },
  ));
  assert.match(
    stampFileName(sanitizeFileName(`${"ü".repeat(300)}.tar`), stamp.next(), 5),
    /^ü+-\d{8}-\d{6}\.\d{3}-\d{6}-from-5\.tar$/,
  );
  assert.equal(senderOfFileName("report-20261121-013400.123-000042.pdf"), undefined);
});

Deno.test("NameStamp never repeats within a million", () => {
  const stamp = new NameStamp(new ManualClock(), 5);
  const seen = new Set(Array.from({ length: 1000 }, () => stamp.next()));
  assert.equal(seen.size, 1000);
});
