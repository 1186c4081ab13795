import assert from "node:assert/strict";
import { join } from "node:path";
import { resolveDaemonOptions, resolveSettings } from "../../../platform/settings/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";

async function withHome(
  config: Record<string, unknown> | undefined,
  body: (home: string) => void | Promise<void>,
): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    if (config !== undefined) {
      await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
    }
    await body(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

const env = (values: Record<string, string>) => (name: string) => values[name];

Deno.test("resolveSettings takes flag, environment, config, default in this order", async () => {
  await withHome({ registry: "config:1", beacon: "config:2" }, (home) => {
    const cases = [
      { flag: "flag:1", variable: "env:1", expected: "flag:1", source: "flag" },
      { flag: undefined, variable: "env:1", expected: "env:1", source: "environment" },
      { flag: undefined, variable: undefined, expected: "config:1", source: "config" },
      { flag: "", variable: "", expected: "config:1", source: "config" },
    ];
    for (const { flag, variable, expected, source } of cases) {
      const settings = resolveSettings({
        flags: { home, registry: flag },
        env: env(variable === undefined ? {} : { PILOT_REGISTRY: variable }),
      });
      assert.equal(settings.registry, expected);
      assert.equal(settings.sources.registry, source);
      assert.equal(settings.beacon, "config:2");
    }
  });
  await withHome(undefined, (home) => {
    const settings = resolveSettings({ flags: { home }, env: env({}) });
    assert.equal(settings.registry, "127.0.0.1:9000");
    assert.equal(settings.beacon, "127.0.0.1:9001");
    assert.equal(settings.sources.registry, "default");
  });
});

Deno.test("resolveSettings puts the socket into the home, whichever it is", async () => {
  await withHome(undefined, (home) => {
    const inHome = join(home, "pilot.sock");
    for (
      const given of [
        resolveSettings({ flags: { home }, env: env({}) }),
        resolveSettings({ env: env({ PILOT_HOME: home }) }),
      ]
    ) {
      assert.deepEqual([given.socket, given.commonSocket], [inHome, undefined]);
    }
    const byDefault = resolveSettings({ env: env({ HOME: home }) });
    assert.equal(byDefault.home, join(home, ".pilot"));
    assert.equal(byDefault.socket, join(home, ".pilot", "pilot.sock"));
    const variable = env({ PILOT_HOME: home, PILOT_SOCKET: "/run/x.sock" });
    assert.equal(resolveSettings({ env: variable }).socket, "/run/x.sock");
  });
});

Deno.test("resolveSettings names the place where existing drivers look, for the default home alone", async () => {
  await withHome(undefined, (home) => {
    const common = (values: Record<string, string>) => {
      const { commonSocket, warnings } = resolveSettings({ env: env({ HOME: home, ...values }) });
      return { commonSocket, warnings };
    };
    const meant = { home: join(home, ".pilot"), identity: join(home, ".pilot", "identity.json") };
    assert.deepEqual(common({}), {
      commonSocket: { path: "/tmp/pilot.sock", ...meant },
      warnings: [],
    });
    assert.deepEqual(common({ XDG_RUNTIME_DIR: home }), {
      commonSocket: { path: join(home, "pilot.sock"), ...meant },
      warnings: [],
    });
    const missing = join(home, "missing");
    const { commonSocket, warnings } = common({ XDG_RUNTIME_DIR: missing });
    assert.equal(commonSocket?.path, "/tmp/pilot.sock");
    assert.deepEqual(warnings, [
      `XDG_RUNTIME_DIR is ${missing}, which does not exist: the common socket is /tmp/pilot.sock`,
    ]);
    assert.equal(common({ PILOT_SOCKET: "/run/x.sock" }).commonSocket, undefined);
    const settings = resolveSettings({ env: env({ HOME: home }) });
    const listens = (flag?: string) => resolveDaemonOptions(settings, { commonSocket: flag });
    assert.equal(listens().commonSocket, "/tmp/pilot.sock");
    assert.equal(listens("none").commonSocket, undefined);
    assert.equal(listens("/run/y.sock").commonSocket, "/run/y.sock");
  });
});

Deno.test("a user without a home directory hears what to give, and a socket alone suffices", () => {
  const nobody = { systemHome: () => null };
  const isClear = (error: unknown) =>
    error instanceof PilotError && error.code === "invalid_argument" &&
    /no home directory/.test(error.message) && error.advice?.id === "give_setting" &&
    error.advice.setting === "home";
  assert.throws(() => resolveSettings({ env: env({}), ...nobody }), isClear);
  assert.equal(resolveSettings({ env: env({ PILOT_HOME: "/h" }), ...nobody }).home, "/h");
  assert.equal(resolveSettings({ flags: { home: "/h" }, env: env({}), ...nobody }).home, "/h");
  const alone = resolveSettings({ flags: { socket: "/s" }, env: env({}), ...nobody });
  assert.deepEqual([alone.socket, alone.registry], ["/s", "127.0.0.1:9000"]);
  assert.throws(() => alone.home, isClear);
  assert.throws(() => alone.pidPath, isClear);
});

Deno.test("resolveSettings gives absolute paths and expands ~/ from the config", async () => {
  await withHome({ socket: "~/s.sock" }, (home) => {
    const settings = resolveSettings({ flags: { home }, env: env({ HOME: "/home/alice" }) });
    assert.equal(settings.socket, "/home/alice/s.sock");
    const relative = resolveSettings({ flags: { home: "some/dir" }, env: env({}) });
    assert.equal(relative.home, join(Deno.cwd(), "some/dir"));
  });
});

Deno.test("relative paths in the config file start from there, wherever a program runs", async () => {
  await withHome({ socket: "run/s.sock", identity: "id.json" }, (home) => {
    const settings = resolveSettings({ flags: { home }, env: env({}) });
    assert.equal(settings.socket, join(home, "run/s.sock"));
    assert.equal(resolveDaemonOptions(settings).identity, join(home, "id.json"));
    const given = resolveDaemonOptions(settings, { identity: "my.json" });
    assert.equal(given.identity, join(Deno.cwd(), "my.json"));
  });
});

Deno.test("resolveSettings names file and key of an unfit value", async () => {
  await withHome({ public: "maybe" }, (home) => {
    assert.throws(
      () => resolveSettings({ flags: { home }, env: env({}) }),
      (error) =>
        error instanceof PilotError && error.code === "invalid_argument" &&
        error.message.includes(join(home, "config.json")) && error.message.includes('"public"'),
    );
  });
});

Deno.test("resolveDaemonOptions takes flags before the config and fills in defaults", async () => {
  const config = {
    hostname: "from-config",
    public: "true",
    "trust-auto-approve": true,
    keepalive: "5s",
    no_echo: false,
    custom: { kept: true },
  };
  await withHome(config, (home) => {
    const settings = resolveSettings({ flags: { home }, env: env({}) });
    assert.deepEqual(settings.rawConfig.custom, { kept: true });
    const options = resolveDaemonOptions(settings, { hostname: "from-flag", noEcho: true });
    assert.equal(options.hostname, "from-flag");
    assert.equal(options.public, true);
    assert.equal(options.trustAutoApprove, true);
    assert.equal(options.noEcho, true);
    assert.equal(options.noDataExchange, false);
    assert.equal(options.nameserver, false);
    assert.equal(resolveDaemonOptions(settings, { nameserver: true }).nameserver, true);
    assert.equal(options.keepaliveMs, 5000);
    assert.equal(options.listen, ":0");
    assert.equal(options.identity, join(home, "identity.json"));
    assert.equal(options.logLevel, "info");
    assert.equal(resolveDaemonOptions(settings, { public: false }).public, false);
  });
});
