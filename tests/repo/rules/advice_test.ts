/** What to type is known by the CLI alone: the other parts say it by advice (protocol/advice.ts). */

import assert from "node:assert/strict";
import { GATEWAY, RENDEZVOUS } from "../../../platform/settings/server_table.ts";
import { DAEMON, PLACES } from "../../../platform/settings/setting_table.ts";
import { productSources, withoutComments } from "../sources.ts";

/** The tables, in which options are made and described. */
const TABLES = /^platform\/settings\/(?:setting_table|server_table|setting_type)\.ts$/;

const below = productSources()
  .filter(({ path }) => !/^cli[./]/.test(path) && !TABLES.test(path))
  .map(({ path, text }) => ({ path, code: withoutComments(text) }));

Deno.test("commands and options are named by the CLI alone", () => {
  const found = below.flatMap(({ path, code }) =>
    (code.replaceAll(/--(?:allow-ffi|global)\b/g, "").match(
      /.*(?:\bpilotctl [a-z]|\bpilot (?:daemon|rendezvous)\b|(?<=["'` (])--[a-z][a-z-]*(?![\w.])).*/g,
    ) ?? [])
      .map((line) => `${path}: ${line.trim()}`)
  );
  assert.deepEqual(found, []);
});

Deno.test("advice about a setting names one of the tables", () => {
  const names = new Set(
    [PLACES, DAEMON, RENDEZVOUS, GATEWAY].flatMap((table) => Object.keys(table)),
  );
  const named = below.flatMap(({ code }) =>
    [...code.matchAll(/\badvice: \{ id: "\w+", setting: "(\w+)"/g)].map(([, name]) => name!)
  );
  assert.ok(named.length > 5, "the rule finds them");
  assert.deepEqual(named.filter((name) => !names.has(name)), []);
});
