import assert from "node:assert/strict";
import { VERSION } from "../../platform/version.ts";

Deno.test("VERSION is the version of deno.json", async () => {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  assert.equal(JSON.parse(config).version, VERSION);
});
