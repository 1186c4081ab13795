import assert from "node:assert/strict";
import fc from "fast-check";
import { counted, fields, formatBytes, formatUptime, makeStyle, table } from "../../cli/output.ts";
import { printable } from "../../cli/terminal_text.ts";
import { payloadFields } from "../../cli/payload.ts";
import { ProgressBar } from "../../cli/progress.ts";
import { within } from "../../cli/wait.ts";
import { PilotError } from "../../protocol/errors.ts";

const plain = makeStyle(false);

Deno.test("table aligns columns by what is seen", () => {
  const text = table(["ID", "NAME"], [[1, "a"], [1000, undefined], [2, "é"]], plain);
  assert.equal(String(text), "ID    NAME\n1     a\n1000\n2     é");
  assert.ok(String(makeStyle(true).bold("x")).includes("\u001b["));
  assert.equal(String(plain.bold("x")), "x");
});

Deno.test("counted says one thing and several things", () => {
  assert.deepEqual([0, 1, 2].map((n) => counted(n, "file")), ["0 files", "1 file", "2 files"]);
});

Deno.test("fields leaves empty values out", () => {
  assert.equal(
    String(fields([["Name", "x"], ["Longer name", 5], ["None", ""], ["Nil", null]])),
    "Name:         x\nLonger name:  5",
  );
});

Deno.test("printable never lets control characters through", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    // deno-lint-ignore no-control-regex -- their absence is the point
    assert.doesNotMatch(printable(text), /[\u0000-\u001f\u007f-\u009f\u202e]/);
  }));
});

Deno.test("formatBytes and formatUptime are short", () => {
  assert.deepEqual([0, 1023, 1536, 20 * 2 ** 20].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.5 KiB",
    "20.0 MiB",
  ]);
  assert.deepEqual([0, 3661.9, 90_061].map(formatUptime), ["00:00:00", "01:01:01", "1d 01:01:01"]);
});

Deno.test("payloadFields gives text, and base64 exactly when it is not UTF-8", () => {
  assert.deepEqual(payloadFields(new TextEncoder().encode("é")), { data: "é" });
  assert.deepEqual(payloadFields(new Uint8Array([0xff])), { data_b64: "/w==" });
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    const { data, data_b64 } = payloadFields(bytes);
    const back = data_b64 === undefined
      ? new TextEncoder().encode(data)
      : Uint8Array.fromBase64(data_b64);
    assert.deepEqual(back, bytes);
  }));
});

Deno.test("ProgressBar draws at most ten times a second, always the end, and cleans up", () => {
  const drawn: string[] = [];
  const out = {
    isTerminal: true,
    columns: 60,
    write: (text: string | Uint8Array) => void drawn.push(String(text)),
  };
  let now = 0;
  {
    using bar = new ProgressBar(out, "file", () => now);
    for (now = 0; now <= 1000; now++) bar.update(now, 1000);
  }
  assert.ok(drawn.length <= 13, String(drawn.length));
  assert.match(drawn.at(-2)!, /file \[#{24}\] 100%/);
  assert.equal(drawn.at(-1), "\r\u001b[K");
  assert.ok(drawn.every((line) => line.length <= 60 + 4));
  using silent = new ProgressBar(undefined, "file");
  silent.update(1, 2);
});

Deno.test("within turns its own deadline into a timeout and passes other failures on", async () => {
  const never = (signal: AbortSignal) =>
    new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(new PilotError("aborted", "stopped")))
    );
  const hasCode = (code: string) => (error: unknown) =>
    error instanceof PilotError && error.code === code;
  const { signal } = new AbortController();
  await assert.rejects(within(5, signal, "Waiting", never), hasCode("timeout"));
  const controller = new AbortController();
  const waiting = within(0, controller.signal, "Waiting", never);
  controller.abort();
  await assert.rejects(waiting, hasCode("aborted"));
  assert.equal(await within(1000, signal, "Waiting", () => Promise.resolve(7)), 7);
});
