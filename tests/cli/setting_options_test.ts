import assert from "node:assert/strict";
import { Command } from "commander";
import { Options } from "../../cli/options.ts";
import {
  givenSettings,
  roleSettings,
  settingArguments,
  settingOptions,
} from "../../cli/setting_options.ts";
import { addCommand } from "../../cli/spec.ts";
import {
  configKeys,
  DAEMON,
  type DaemonSettings,
  parseConfig,
  parseConfigValue,
  PLACES,
} from "../../platform/settings/mod.ts";
import {
  environmentOf,
  type Sources,
  type TableOf,
  valuesOf,
} from "../../platform/settings/setting.ts";
import { integer } from "../../platform/settings/setting_type.ts";
import { settingsDocument } from "../../scripts/settings_doc/settings_document.ts";

/** One setting more than there is. */
interface Extended extends DaemonSettings {
  color: number;
}

const TABLE: TableOf<Extended> = {
  ...DAEMON,
  color: {
    ...{ type: integer("n", 1, 9), flag: "color", env: "PILOT_COLOR", inConfig: true },
    ...{ help: "Color of the tunnel", default: 5 },
  },
};

/** What a command line means. */
async function options(...args: string[]): Promise<Options> {
  const root = new Command().exitOverride();
  let found: Options | undefined;
  addCommand(root, {
    name: "run",
    summary: "Runs",
    returns: "Nothing",
    options: settingOptions(TABLE),
    run: () => undefined,
  }, (_spec, command) => {
    found = new Options(command);
    return Promise.resolve();
  });
  await root.parseAsync(["run", ...args], { from: "user" });
  return found!;
}

const nothing = () => undefined;

Deno.test("a new entry of the table is found everywhere", async () => {
  const spec = settingOptions(TABLE).find(({ flags }) => flags === "--color <n>");
  assert.equal(spec?.description, "Color of the tunnel (PILOT_COLOR, 5)");
  const given = givenSettings(TABLE, await options("--color", "7"));
  assert.deepEqual(given, { color: 7 });
  assert.deepEqual(settingArguments(TABLE, given), ["--color=7"]);
  assert.ok(configKeys([PLACES, TABLE]).includes("color"));
  assert.deepEqual(parseConfig({ color: 3 }, "x", [TABLE]), { color: 3 });
  assert.deepEqual(parseConfigValue("color", "4", [TABLE]), { key: "color", value: "4" });
  assert.throws(() => parseConfig({ color: 30 }, "x", [TABLE]), {
    message: 'x: "color" must be a whole number from 1 to 9',
  });
  assert.equal(environmentOf(TABLE).PILOT_COLOR, "Color of the tunnel");
  const sources: Sources<Extended> = { flags: {}, env: nothing, config: {} };
  const color = (more: Partial<Sources<Extended>>) =>
    valuesOf(TABLE, { ...sources, ...more }).color;
  const env = (name: string) => name === "PILOT_COLOR" ? "6" : undefined;
  assert.deepEqual(
    [color({}), color({ config: { color: 3 } }), color({ config: { color: 3 }, env })],
    [5, 3, 6],
  );
  assert.equal(color({ config: { color: 3 }, env, flags: { color: 8 } }), 8);
  assert.match(
    settingsDocument([["Test", "", TABLE]]),
    /\| `--color <n>` \| `PILOT_COLOR` \| `color` \| 5 \| Color of the tunnel \|/,
  );
});

Deno.test("what daemon start was given reaches daemon run, whatever it is", async () => {
  const every = [
    ...["--listen", "[::1]:4000", "--endpoint", "a.example:1", "--relay-only", "--no-public"],
    ...["--registry-fingerprint", "ab".repeat(32), "--registry-key", "a+/=", "--registry-tls"],
    ...["--registry-plain", "accept", "--identity", "/i d", "--common-socket", "none"],
    ...["--hostname", "alice", "--email", "a@b", "--trust-auto-approve", "--no-echo"],
    ...["--no-dataexchange", "--no-eventstream", "--nameserver", "--keepalive", "90s"],
    ...["--log-level", "debug", "--log-format", "json", "--log-file", "/l", "--udp", "portable"],
    ...["--aead", "noble", "--mss", "1152", "--no-relay", "--http", ":9100", "--color", "1"],
  ];
  const given = givenSettings(TABLE, await options(...every));
  assert.deepEqual(Object.keys(given).sort(), Object.keys(TABLE).sort(), "every setting is tried");
  assert.equal(given.keepaliveMs, 90_000);
  assert.deepEqual([given.public, given.noEcho, given.noRelay], [false, true, true]);
  assert.deepEqual(givenSettings(TABLE, await options(...settingArguments(TABLE, given))), given);
});

Deno.test("what is not given is left to the environment, the config file and the defaults", async () => {
  assert.deepEqual(givenSettings(TABLE, await options()), {});
  const values = roleSettings(TABLE, await options(), nothing);
  assert.deepEqual([values.listen, values.noEcho, values.hostname], [":0", false, undefined]);
  assert.throws(() => roleSettingsWith("PILOT_UDP", "fast"), {
    code: "invalid_argument",
    message: 'PILOT_UDP is "fast"',
    hint: "It must be auto, portable or linux.",
  });
});

function roleSettingsWith(name: string, value: string) {
  const env = (asked: string) => asked === name ? value : undefined;
  return valuesOf(TABLE, { flags: {}, env, config: {} });
}
