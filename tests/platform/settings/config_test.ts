import assert from "node:assert/strict";
import { join } from "node:path";
import {
  canonicalKey,
  configKeys,
  parseConfig,
  parseConfigValue,
  readRawConfig,
  SECRET_CONFIG_KEYS,
  unknownConfigKeys,
  updateConfigFile,
} from "../../../platform/settings/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";

// cspell:ignore hostnam

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

Deno.test("parseConfig names the file and the key, and how to correct it", () => {
  assert.throws(() => parseConfig({ "log-level": "loud" }, "/x/config.json"), {
    message: '/x/config.json: "log_level" must be debug, info, warn or error',
    advice: { id: "correct_config", key: "log_level" },
  });
});

Deno.test("a value that does not fit is a sentence that begins with its key, whoever found it", () => {
  const inFile = (raw: object, message: string) =>
    assert.throws(() => parseConfig({ ...raw }, "x"), { message: `x: ${message}` });
  inFile({ email: 5 }, '"email" must be a string'); // the type's own words
  inFile({ email: "x".repeat(5_000) }, '"email" is too long');
  inFile({ registry: "nowhere" }, '"registry" must look like host:port'); // a parser's words are no end of a sentence
  const given = (key: string, text: string, message: string) =>
    assert.throws(() => parseConfigValue(key, text), { message });
  given("public", "maybe", '"public" must be true or false');
  given("hostname", "5", 'hostname: "5" cannot be a hostname: as a target it always means node 5');
});

Deno.test("an endpoint of the config has a port of 1 to 65535, and one to listen at any", () => {
  for (const registry of ["h:1", "h:65535", "[::1]:65535"]) {
    assert.deepEqual(parseConfig({ registry }, "x"), { registry });
  }
  for (const listen of [":0", ":9000", "h:0", "[::]:65535"]) {
    assert.deepEqual(parseConfig({ listen }, "x"), { listen });
  }
  for (
    const registry of ["h:0", ":9000", "h:65536", "h:100000", "h:", "h", "::1:5", "[]:5", "h:-1"]
  ) {
    assert.throws(() => parseConfig({ registry }, "x"), isInvalid, registry);
  }
});

Deno.test("true, false, 1 and 0 are truth values of switches, and text of every other key", () => {
  for (const [text, value] of [["true", true], ["1", true], ["false", false], ["0", false]]) {
    assert.deepEqual(parseConfig({ public: text }, "x"), { public: value });
    assert.deepEqual(parseConfig({ hostname: text }, "x"), { hostname: text });
    assert.deepEqual(parseConfigValue("no-echo", `${text}`), { key: "no_echo", value });
    assert.deepEqual(parseConfigValue("email", `${text}`), { key: "email", value: text });
  }
  for (const text of ["TRUE", "yes", "2", "on"]) {
    assert.throws(() => parseConfig({ public: text }, "x"), isInvalid, text);
  }
});

Deno.test("a text of the config has at most 4096 characters, and null counts as unset", () => {
  assert.deepEqual(parseConfig({ email: "x".repeat(4096), hostname: null }, "x"), {
    email: "x".repeat(4096),
  });
  assert.throws(() => parseConfig({ email: "x".repeat(4097) }, "x"), isInvalid);
});

Deno.test("keepalive is a duration or a number of seconds, from 0", () => {
  for (const [keepalive, ms] of [["60s", 60_000], ["0", 0], [0, 0], [0.5, 500], [60, 60_000]]) {
    assert.deepEqual(parseConfig({ keepalive }, "x"), { keepaliveMs: ms });
  }
  for (const keepalive of [-1, "-1s", true, [60]]) {
    assert.throws(() => parseConfig({ keepalive }, "x"), isInvalid, String(keepalive));
  }
});

Deno.test("keys may be spelt with a hyphen; those of others are named as they are, secrets among them", () => {
  assert.equal(canonicalKey("log-level"), "log_level");
  assert.equal(canonicalKey("their-key"), "their-key");
  assert.deepEqual(unknownConfigKeys({ "no-relay": true, registry: "", "their-key": 1 }), [
    "their-key",
  ]);
  assert.deepEqual([...SECRET_CONFIG_KEYS].sort(), ["admin_token", "webhook_secret"]);
});

Deno.test("parseConfigValue gives typed values and refuses unknown keys", () => {
  assert.deepEqual(parseConfigValue("public", "true"), { key: "public", value: true });
  assert.deepEqual(parseConfigValue("log-level", "warn"), { key: "log_level", value: "warn" });
  assert.deepEqual(parseConfigValue("email", "a=b"), { key: "email", value: "a=b" });
  assert.throws(() => parseConfigValue("hostnam", "a"), isInvalid);
  assert.throws(() => parseConfigValue("hostnam", "a"), {
    hint: /^Known keys: socket, registry, beacon, /,
  });
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
    assert.equal(
      await Deno.readTextFile(path),
      '{\n  "theirs": [\n    1\n  ],\n  "log_level": "debug"\n}\n',
      "people read and edit it",
    );
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
    assert.throws(() => readRawConfig(home), { code: "io_error" }, "a directory is no file");
    for (const text of ["", "{", "[]", "null", '"x"']) {
      await Deno.writeTextFile(path, text);
      assert.throws(() => readRawConfig(path), isInvalid, text);
    }
    // Below a file there is none: ENOTDIR.
    assert.deepEqual(readRawConfig(join(path, "config.json")), {});
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
