import assert from "node:assert/strict";
import { Directory } from "../../daemon/directory.ts";
import type { NodeRegistry } from "../../daemon/registry/node_registry.ts";
import type { StateFiles } from "../../daemon/state_files.ts";

/** A directory that asks nobody: only what it notes itself is looked at. */
function directory(): Directory {
  return new Directory({
    registry: {} as NodeRegistry,
    files: {} as StateFiles,
    local: { host: "0.0.0.0", port: 4000 },
    isPublic: false,
    hostname: "",
    wanted: {},
  });
}

Deno.test("Directory.observe reports another port or host once, and not what is known", () => {
  const it = directory();
  const yes = () => true;
  assert.equal(it.observe({ host: "203.0.113.5", port: 4000 }, yes), false);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, yes), true);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, yes), false);
  assert.equal(it.observe({ host: "203.0.113.6", port: 6000 }, yes), true);
  assert.equal(it.listenAddr(), "203.0.113.6:6000");
});

Deno.test("Directory.observe keeps what it had while news are not admitted, and takes them later", () => {
  const it = directory();
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, () => false), false);
  assert.equal(it.observed, undefined);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, () => true), true);
  assert.deepEqual(it.observed, { host: "203.0.113.5", port: 6000 });
});
