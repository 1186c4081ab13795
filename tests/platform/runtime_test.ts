import assert from "node:assert/strict";
import { checkRuntime, LEAST_DENO } from "../../platform/runtime.ts";
import { PilotError } from "../../protocol/errors.ts";
import { run } from "../cli/support.ts";

Deno.test("an older Deno is refused with the version that is needed, and newer ones work", () => {
  for (const version of ["1.46.3", "2.6.0", "2.7.99"]) {
    assert.throws(
      () => checkRuntime(version),
      (error) =>
        error instanceof PilotError && error.code === "unavailable" &&
        error.message.includes(version) && error.message.includes(LEAST_DENO),
    );
  }
  for (const version of [LEAST_DENO, "2.9.6", "2.10.0", "3.0.0-rc.1", Deno.version.deno]) {
    checkRuntime(version);
  }
});

Deno.test("every command of an older Deno ends with that, in JSON too", async () => {
  const host = { checkRuntime: () => checkRuntime("2.6.0") };
  const result = await run(["version", "--json"], { host });
  assert.equal(result.stdout, "");
  assert.match(JSON.parse(result.stderr).message, /This is Deno 2\.6\.0/);
});
