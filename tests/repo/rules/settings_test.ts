import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ENVIRONMENT } from "../../../cli/catalog.ts";
import { DAEMON, PLACES } from "../../../platform/settings/mod.ts";
import { GATEWAY, RENDEZVOUS, SECRETS } from "../../../platform/settings/server_table.ts";
import { settingsDocument } from "../../../scripts/settings_doc/settings_document.ts";
import { productSources, ROOT } from "../sources.ts";

Deno.test("docs/SETTINGS.md is what the tables say (else: deno task settings)", () => {
  assert.equal(readFileSync(join(ROOT, "docs/SETTINGS.md"), "utf8"), settingsDocument());
});

Deno.test("every variable that the product names is in a table or shown by context", () => {
  const named = productSources().flatMap(({ text }) => text.match(/\bPILOT_[A-Z_]+\b/g) ?? []);
  assert.deepEqual([...new Set(named)].filter((name) => !(name in ENVIRONMENT)), []);
});

Deno.test("the environment is read where settings are resolved and nowhere else", () => {
  const allowed = ["platform/settings/resolve_settings.ts", "cli/host_deno.ts"];
  const readers = productSources()
    .filter(({ text }) => /\bprocess\.env\b|\bDeno\.env\b/.test(text))
    .map(({ path }) => path)
    .filter((path) => !allowed.includes(path));
  assert.deepEqual(readers, []);
});

Deno.test("options, variables and keys are each one setting's within a role", () => {
  for (const table of [{ ...PLACES, ...DAEMON }, { ...PLACES, ...RENDEZVOUS }, GATEWAY, SECRETS]) {
    const settings = Object.values(table);
    for (const part of ["flag", "env"] as const) {
      const names = settings.map((setting) => setting[part]).filter((name) => name !== undefined);
      assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), [], part);
    }
  }
});
