import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { CliDriver } from "../../cli/main.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { launch } from "../../cli/launch.ts";
import type { RendezvousRoleOptions } from "../../cli/roles.ts";
import { exists } from "../../platform/files.ts";
import { readPidFile } from "../../platform/pidfile.ts";
import { PilotError } from "../../protocol/errors.ts";
import { at, run, runJson, type RunOptions, withDir } from "./support.ts";

const SELF = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--allow-all",
  fileURLToPath(new URL("./fake_program.ts", import.meta.url)),
];

/** Ends of the processes that were started: each test waits for its own. */
const ends: Promise<unknown>[] = [];

/** A world in which the socket answers as long as its file exists. */
function world(home: string, info: Record<string, unknown> = {}): RunOptions {
  const driver = {
    health: () => Promise.resolve({ status: "ok" }),
    info: () =>
      Promise.resolve({ node_id: 5, address: "0:0000.0000.0005", hostname: "h", ...info }),
    close: () => Promise.resolve(),
  } as unknown as CliDriver;
  return {
    env: { PILOT_HOME: home },
    host: {
      self: SELF,
      launch: (command, logPath) => {
        const process = launch(command, logPath);
        ends.push(process.ended);
        return process;
      },
      connect: async ({ socket }) => {
        if (await exists(socket)) return driver;
        throw new PilotError("not_running", "nobody");
      },
    },
  };
}

/** A started daemon does not keep its starter alive, so something else must while its end is awaited. */
async function allEnded(): Promise<void> {
  const awake = setInterval(() => {}, 1_000);
  await Promise.all(ends.splice(0));
  clearInterval(awake);
}

const start = (home: string, ...args: string[]) =>
  runJson(["daemon", "start", ...args], world(home));
async function stop(home: string, ...args: string[]) {
  const result = await runJson(["daemon", "stop", ...args], world(home));
  // What could not be stopped would be waited for without end.
  if (result.code === 0) await allEnded();
  return result;
}

Deno.test("daemon start comes back when the socket answers, daemon stop when it is gone", async () => {
  await withDir(async (home) => {
    const started = await start(
      home,
      "--hostname",
      "good",
      "--identity",
      "id.json",
      "--no-echo",
      "--nameserver",
      "-keepalive",
      "5s",
    );
    assert.equal(started.code, 0, JSON.stringify(started.error));
    const pid = at(started.data, "pid");
    assert.deepEqual(started.data, {
      pid,
      node_id: 5,
      address: "0:0000.0000.0005",
      hostname: "h",
      socket: join(home, "pilot.sock"),
      log_file: join(home, "pilot.log"),
      registered: true,
    });
    assert.equal(await readPidFile(join(home, "pilot.pid")), pid);
    assert.equal((await Deno.stat(join(home, "pilot.log"))).mode! & 0o777, 0o600);
    const options = JSON.parse(await Deno.readTextFile(join(home, "options.json")));
    assert.equal(options.home, home);
    assert.equal(options.identity, join(Deno.cwd(), "id.json")); // although it runs elsewhere
    assert.equal(options.noEcho, true);
    assert.equal(options.noDataExchange, false);
    assert.equal(options.nameserver, true);
    assert.equal(options.keepaliveMs, 5000);
    const again = await start(home);
    assert.equal(again.code, EXIT_CODES.already_exists);
    assert.match(String(again.error?.message), new RegExp(`pid ${pid}`));
    const status = await runJson(["daemon", "status"], world(home));
    assert.equal(at(status.data, "running"), true);
    assert.equal(at(status.data, "responsive"), true);
    assert.equal(at(status.data, "pid"), pid);
    const stopped = await stop(home);
    assert.deepEqual(stopped, { code: 0, data: { pid }, error: undefined });
    assert.equal(await exists(join(home, "pilot.pid")), false);
    assert.equal((await stop(home)).code, EXIT_CODES.not_running);
  });
});

Deno.test("daemon start, daemon status and info show what the daemon warns of, and what to do", async () => {
  await withDir(async (home) => {
    const registry_warning = "The registry r:9000 is asked in plain TCP";
    const options = world(home, { registry_warning, public_key: "k", ports: 0 });
    const started = await run(
      ["daemon", "start", "--hostname", "good", "--registry-plain", "warn"],
      options,
    );
    const expected = /\nwarning: The registry r:9000 .*\nhint: Pin it .*pilotctl join.*=accept/;
    assert.match(started.stdout, expected);
    const given = JSON.parse(await Deno.readTextFile(join(home, "options.json")));
    assert.equal(given.registryPlain, "warn", "it is passed on");
    assert.match((await run(["daemon", "status"], options)).stdout, expected);
    assert.match((await run(["info"], options)).stdout, expected);
    for (const command of [["daemon", "status"], ["info"]]) {
      assert.equal(
        at((await runJson(command, options)).data, "registry_warning"),
        registry_warning,
      );
    }
    const quiet = world(home, { registry_warning: null });
    assert.ok(!(await run(["daemon", "status"], quiet)).stdout.includes("warning"));
    assert.equal((await stop(home)).code, 0);
  });
});

Deno.test("daemon start reports at once why the daemon failed, and leaves no pid file", async () => {
  await withDir(async (home) => {
    const cases = [
      ["refuse", EXIT_CODES.already_exists, "The daemon did not start: UDP port 4000 is taken"],
      ["crash", EXIT_CODES.internal, "The daemon did not start: ended by SIGKILL"],
      ["bug", EXIT_CODES.internal, "The daemon did not start: undefined is not a function"],
      ["leave", EXIT_CODES.internal, "The daemon did not start: exit code 0"],
    ] as const;
    const results = await Promise.all(cases.map(async ([hostname, code, message]) => {
      const own = join(home, hostname);
      const { error, ...result } = await start(own, "--hostname", hostname);
      assert.equal(result.code, code, hostname);
      assert.equal(error?.message, message);
      assert.equal(at(error, "data", "log", 0), "level=info msg=starting");
      assert.equal(at(error, "data", "log_file"), join(own, "pilot.log"));
      assert.equal(await exists(join(own, "pilot.pid")), false);
      return error?.hint;
    }));
    assert.equal(results[0], "Choose another");
    const text = await run(
      ["daemon", "start", "--hostname", "refuse"],
      world(join(home, "refuse")),
    );
    assert.match(
      text.stderr,
      /^error: The daemon did not start: UDP .*\nhint: .*\nlast log lines:\n {2}level=info msg=starting\n$/,
    );
  });
});

Deno.test("daemon start shows only this start's log and takes over a stale pid file", async () => {
  await withDir(async (home) => {
    await Deno.writeTextFile(join(home, "pilot.log"), "error: an old failure\n");
    await Deno.writeTextFile(join(home, "pilot.pid"), `${Deno.ppid}\n`); // alive, but not a daemon
    const down = await runJson(["daemon", "status"], world(home));
    assert.deepEqual([at(down.data, "running"), at(down.data, "pid")], [false, null]);
    const failed = await start(home, "--hostname", "crash");
    assert.doesNotMatch(JSON.stringify(failed.error), /an old failure/);
    assert.equal(await exists(join(home, "pilot.pid")), false);
  });
});

Deno.test("daemon start ends a daemon whose socket never answers", async () => {
  await withDir(async (home) => {
    const { code, error } = await start(home, "--hostname", "mute", "--timeout", "1s");
    assert.equal(code, EXIT_CODES.timeout);
    assert.match(String(error?.message), /did not answer .* within 1 s/);
    assert.equal(await exists(join(home, "pilot.pid")), false);
  });
});

Deno.test("daemon stop kills a daemon that does not listen", async () => {
  await withDir(async (home) => {
    const started = await start(home, "--hostname", "stubborn");
    const pid = at(started.data, "pid");
    const stopped = await stop(home, "--timeout", "100ms");
    assert.deepEqual(stopped, { code: 0, data: { pid, forced: true }, error: undefined });
    assert.equal(await exists(join(home, "pilot.pid")), false);
  });
});

Deno.test("daemon status --check prints nothing and answers with the exit code", async () => {
  await withDir(async (home) => {
    const down = await run(["daemon", "status", "--check"], world(home));
    assert.deepEqual(down, { code: 1, stdout: "", stderr: "" });
    await Deno.writeTextFile(join(home, "pilot.sock"), "");
    const up = await run(["daemon", "status", "--check", "--json"], world(home));
    assert.deepEqual(up, { code: 0, stdout: "", stderr: "" });
  });
});

Deno.test("daemon start says so when the daemon runs but is not registered", async () => {
  await withDir(async (home) => {
    const options = world(home, {
      node_id: 3,
      registration: "retrying",
      registration_error: "Registry is down",
    });
    const { code, stdout } = await run(["daemon", "start", "--hostname", "good"], options);
    try {
      assert.equal(code, 0);
      assert.match(stdout, /^Daemon running \(pid \d+\)\n/);
      assert.match(stdout, /Not registered \(Registry is down\); the daemon keeps trying/);
    } finally {
      await stop(home);
    }
  });
});

Deno.test("daemon run passes flags, config and defaults to the role and its exit code back", async () => {
  await withDir(async (home) => {
    await Deno.writeTextFile(join(home, "config.json"), '{"email":"a@b","public":true}');
    const seen: unknown[] = [];
    const result = await run(
      ["daemon", "run", "-no-public", "--identity", "id.json", "--json"],
      {
        env: { PILOT_HOME: home },
        host: {
          roles: {
            daemon: () =>
              Promise.resolve((options) => {
                options.ready?.({ socket: options.socket, pid: 1 });
                seen.push(options.email, options.public, options.identity);
                return Promise.resolve(7);
              }),
            rendezvous: () => Promise.reject(new Error()),
            rendezvousStatus: () => Promise.reject(new Error()),
            rendezvousStore: () => Promise.reject(new Error()),
            gateway: () => Promise.reject(new Error()),
          },
        },
      },
    );
    assert.equal(result.code, 7);
    assert.deepEqual(JSON.parse(result.stdout), {
      status: "ok",
      data: { socket: join(home, "pilot.sock"), pid: 1 },
    });
    assert.deepEqual(seen, ["a@b", false, join(Deno.cwd(), "id.json")]);
  });
});

Deno.test("rendezvous and gateway run pass their flags to their roles", async () => {
  const seen: unknown[] = [];
  const note = (options: unknown) => (seen.push(options), Promise.resolve(0));
  const host = {
    roles: {
      daemon: () => Promise.reject(new Error()),
      rendezvous: () => Promise.resolve(note),
      rendezvousStatus: () => Promise.reject(new Error()),
      rendezvousStore: () => Promise.reject(new Error()),
      gateway: () => Promise.resolve(note),
    },
  };
  const env = { PILOT_HOME: "/h" };
  await run(
    ["rendezvous", "-registry-addr", "127.0.0.1:0", "-beacon-addr=:0", "-json", "--memory"],
    { host, env },
  );
  await run(["rendezvous"], { host, env });
  const flags = ["--http", "127.0.0.1:9100", "--log-level", "debug", "--log-format=json"];
  await run(["rendezvous", "run", "--tls", ...flags], { host, env });
  const files = ["--tls-cert", "c", "--tls-key", "k"];
  await run([
    "rendezvous",
    ...files,
    "run",
    "--store",
    "/s",
    "--new-store",
    "--advertise",
    "r.example",
  ], { host, env });
  await run(["gateway", "run", "alice", "5", "--ports", "80,8080"], { host, env });
  const log = { level: "info", format: "text" };
  const rules = { adminToken: undefined, strict: true, newStore: false };
  assert.deepEqual(seen, [
    {
      registryAddr: "127.0.0.1:0",
      beaconAddr: ":0",
      ...rules,
      store: undefined,
      ...{ tls: "auto", tlsOnly: false, advertise: undefined },
      http: undefined,
      log,
      json: true,
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/h/rendezvous",
      ...{ tls: "auto", tlsOnly: false, advertise: undefined },
      http: undefined,
      log,
      json: false,
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/h/rendezvous",
      ...{ tls: "auto", tlsOnly: true, advertise: undefined },
      http: "127.0.0.1:9100",
      log: { level: "debug", format: "json" },
      json: false,
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/s",
      newStore: true,
      ...{ tls: { certFile: "c", keyFile: "k" }, tlsOnly: true, advertise: "r.example" },
      http: undefined,
      log,
      json: false,
    },
    {
      socket: "/h/pilot.sock",
      subnet: "127.77.0.0/16",
      ports: [80, 8080],
      targets: ["alice", "5"],
      json: false,
    },
  ]);
  assert.equal((await run(["rendezvous", "--memory", "--store", "x"], { host, env })).code, 2);
  assert.equal((await run(["rendezvous", "--tls-cert", "x"], { host, env })).code, 2);
  assert.equal((await run(["rendezvous", "--no-tls", ...files], { host, env })).code, 2);
  await run(["rendezvous", "--memory", "--no-tls"], { host, env });
  assert.equal((seen.at(-1) as RendezvousRoleOptions).tls, "none");
});

Deno.test("rendezvous run passes on how the beacon asks another registry", async () => {
  const seen: RendezvousRoleOptions[] = [];
  const note = (options: RendezvousRoleOptions) => (seen.push(options), Promise.resolve(0));
  const unused = () => Promise.reject(new Error());
  const host = {
    roles: {
      daemon: unused,
      rendezvous: () => Promise.resolve(note),
      rendezvousStatus: unused,
      rendezvousStore: unused,
      gateway: unused,
    },
  };
  const runWith = (fingerprint: string) =>
    run([
      ...["rendezvous", "run", "--memory", "--beacon-id", "2"],
      ...["--beacon-registry", "r:9000", "--beacon-registry-fingerprint", fingerprint],
    ], { host, env: { PILOT_HOME: "/h" } });
  await runWith("AB:".repeat(31) + "AB");
  const { id, registry, registryFingerprint } = seen[0]?.beacon ?? {};
  assert.deepEqual({ id, registry, registryFingerprint }, {
    id: 2,
    registry: "r:9000",
    registryFingerprint: "ab".repeat(32),
  });
  assert.equal((await runWith("abc")).code, 2);
  await withDir(async (dir) => {
    const file = `${dir}/token`;
    const withToken = () =>
      run(["rendezvous", "run", "--memory", "--beacon-token-file", file], {
        host,
        env: { PILOT_HOME: "/h" },
      });
    assert.equal((await withToken()).code, 2);
    await Deno.writeTextFile(file, "the token of the cluster\n", { mode: 0o600 });
    assert.equal((await withToken()).code, 0);
    assert.equal(seen.at(-1)?.beacon?.token, "the token of the cluster");
    await Deno.chmod(file, 0o644);
    assert.match((await withToken()).stderr, /may be read by others/);
  });
});

Deno.test("rendezvous run takes what is pinned of the beacons' registry from its URI or the config file", async () => {
  const unused = () => Promise.reject(new Error());
  await withDir(async (home) => {
    const beacon = async (...args: string[]) => {
      let seen: RendezvousRoleOptions | undefined;
      const note = (options: RendezvousRoleOptions) => (seen = options, Promise.resolve(0));
      const roles = {
        ...{ daemon: unused, rendezvousStatus: unused, rendezvousStore: unused, gateway: unused },
        rendezvous: () => Promise.resolve(note),
      };
      const { code } = await run(["rendezvous", "--memory", "--beacon-id", "2", ...args], {
        host: { roles },
        env: { PILOT_HOME: home },
      });
      return code === 0 ? [seen?.beacon?.registry, seen?.beacon?.registryFingerprint] : code;
    };
    const hex = "ab".repeat(32);
    const uri = `pilot://r:9000?beacon=r:9001&fingerprint=${hex}`;
    assert.deepEqual(await beacon("--beacon-registry", uri), ["r:9000", hex]);
    assert.equal(await beacon("--beacon-registry", `${uri}&x=1`), 2);
    const twice = ["--beacon-registry", uri, "--beacon-registry-fingerprint", hex];
    assert.equal(await beacon(...twice), 2);
    assert.deepEqual(await beacon("--beacon-registry", "r:9000"), ["r:9000", undefined]);
    const config = { registry: "r:9000", registry_fingerprint: hex };
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
    assert.deepEqual(await beacon("--beacon-registry", "r:9000"), ["r:9000", hex]);
    assert.deepEqual(await beacon("--beacon-registry", "other:9000"), ["other:9000", undefined]);
  });
});

Deno.test("rendezvous takes its admin token from a private file or the environment, and may be less strict", async () => {
  const seen: { adminToken?: string | undefined; strict: boolean }[] = [];
  const host = {
    roles: {
      daemon: () => Promise.reject(new Error()),
      rendezvous: () =>
        Promise.resolve((options: typeof seen[number]) => (seen.push(options), Promise.resolve(0))),
      rendezvousStatus: () => Promise.reject(new Error()),
      rendezvousStore: () => Promise.reject(new Error()),
      gateway: () => Promise.reject(new Error()),
    },
  };
  const directory = await Deno.makeTempDir();
  try {
    const env = { PILOT_HOME: directory, PILOT_ADMIN_TOKEN: "from-environment" };
    await run(["rendezvous", "--memory", "--no-strict"], { host, env });
    const file = `${directory}/token`;
    await Deno.writeTextFile(file, "from-file\n", { mode: 0o600 });
    await run(["rendezvous", "--memory", "--admin-token-file", file], { host, env });
    assert.deepEqual(
      seen.map(({ adminToken, strict }) => ({ adminToken, strict })),
      [
        { adminToken: "from-environment", strict: false },
        { adminToken: "from-file", strict: true },
      ],
    );
    await Deno.chmod(file, 0o644);
    const open = await run(["rendezvous", "--memory", "--admin-token-file", file], { host, env });
    assert.notEqual(open.code, 0);
    assert.match(open.stderr, /may be read by others/);
    const missing = await run(["rendezvous", "--memory", "--admin-token-file", `${file}2`], {
      host,
      env,
    });
    assert.equal(missing.code, 2);
    assert.equal(seen.length, 2);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("rendezvous status passes its flags to the role and shows what it found", async () => {
  const asked: unknown[] = [];
  const found = {
    running: true,
    healthy: true,
    pid: 7,
    uptime_seconds: 61,
    registry: "127.0.0.1:9000",
    nodes_online: 3,
    nodes_total: 5,
    store_bytes: 2048,
    registry_key: "KEY",
    tls_fingerprint: null,
    join_uri: "pilot://<HOST>:9000?beacon=<HOST>:9001&key=KEY",
    join_hint: "Replace <HOST>",
  };
  const refuse = () => Promise.reject(new Error());
  const host = {
    roles: {
      ...{ daemon: refuse, rendezvous: refuse, rendezvousStore: refuse, gateway: refuse },
      rendezvousStatus: () =>
        Promise.resolve((options: unknown) => (asked.push(options), Promise.resolve(found))),
    },
  };
  const env = { PILOT_HOME: "/h" };
  const { stdout } = await run(["rendezvous", "status"], { host, env });
  for (const part of ["running", "3 online, 5 known", "00:01:01", "2.0 KiB", "KEY"]) {
    assert.ok(stdout.includes(part), stdout);
  }
  assert.ok(!stdout.includes("TLS"));
  assert.ok(stdout.endsWith(`\npilotctl join '${found.join_uri}'\nReplace <HOST>\n`), stdout);
  const json = await run(["rendezvous", "status", "--http", ":9100", "--json"], { host, env });
  assert.deepEqual(JSON.parse(json.stdout), { status: "ok", data: found });
  await run(["rendezvous", "--store", "/s", "status"], { host, env });
  assert.deepEqual(asked, [
    { store: "/h/rendezvous", http: undefined },
    { store: "/h/rendezvous", http: ":9100" },
    { store: "/s", http: undefined },
  ]);
  const both = ["rendezvous", "status", "--http", ":1", "--store", "/s"];
  assert.equal((await run(both, { host, env })).code, 2);
});
