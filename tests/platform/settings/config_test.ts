import assert from "node:assert/strict";
import { join } from "node:path";
import {
  configKeys,
  parseConfig,
  parseConfigValue,
  readRawConfig,
  updateConfigFile,
} from "../../../platform/settings/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";

const isInvalid = (error: unknown) =>
  error instanceof PilotError && error.code === "invalid_argument";

Deno.test("parseConfig keeps known keys, in either spelling, and ignores the rest", () => {
  const parsed = parseConfig({ "log-level": "debug", hostname: "", networks: "1,2" }, "x");
  assert.deepEqual(parsed, { logLevel: "debug" });
});

Deno.test("parseConfig refuses unfit values of known keys", () => {
  const bad: Record<string, unknown>[] = [
    { registry: "no-port" },
    { registry: "host:70000" },
    { beacon: 9001 },
    { public: 1 },
    { log_level: "loud" },
    { keepalive: "soon" },
    { hostname: "x".repeat(5000) },
  ];
  for (const raw of bad) assert.throws(() => parseConfig(raw, "x"), isInvalid, JSON.stringify(raw));
});

Deno.test("parseConfigValue gives typed values and refuses unknown keys", () => {
  assert.deepEqual(parseConfigValue("public", "true"), { key: "public", value: true });
  assert.deepEqual(parseConfigValue("log-level", "warn"), { key: "log_level", value: "warn" });
  assert.deepEqual(parseConfigValue("email", "a=b"), { key: "email", value: "a=b" });
  assert.throws(() => parseConfigValue("hostnam", "a"), isInvalid);
  assert.throws(() => parseConfigValue("public", "maybe"), isInvalid);
  assert.ok(configKeys().includes("trust_auto_approve"));
});

Deno.test("updateConfigFile keeps other keys, replaces other spellings, removes, and writes 0600", async () => {
  const home = await Deno.makeTempDir();
  try {
    const path = join(home, "new", "config.json");
    await updateConfigFile(path, { hostname: "a" });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.writeTextFile(path, '{"log-level":"info","hostname":"a","theirs":[1]}');
    await Deno.chmod(path, 0o644);
    const stored = await updateConfigFile(path, { log_level: "debug", hostname: undefined });
    assert.deepEqual(stored, { theirs: [1], log_level: "debug" });
    assert.deepEqual(readRawConfig(path), stored);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await assert.rejects(updateConfigFile(path, { public: "maybe" }), isInvalid);
    assert.deepEqual(readRawConfig(path), stored, "a refused change leaves the file alone");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("readRawConfig refuses what is not a JSON object and takes a missing file as empty", async () => {
  const home = await Deno.makeTempDir();
  try {
    const path = join(home, "config.json");
    assert.deepEqual(readRawConfig(path), {});
    for (const text of ["", "{", "[]", "null", '"x"']) {
      await Deno.writeTextFile(path, text);
      assert.throws(() => readRawConfig(path), isInvalid, text);
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
