import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { CliDriver } from "../../cli/main.ts";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { launch } from "../../cli/launch.ts";
import { exists } from "../../platform/private_files.ts";
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
    info: async () => {
      const pid = await readPidFile(join(home, "pilot.pid"));
      return { node_id: 5, address: "0:0000.0000.0005", hostname: "h", pid, ...info };
    },
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
    const registry_warning = "The registry r:9000 is used over plain TCP";
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

Deno.test("daemon start fails when another daemon answers, also one that reports no process id", async () => {
  await withDir(async (home) => {
    for (const [hostname, code] of [["refuse", "already_exists"], ["mute", "timeout"]] as const) {
      const own = join(home, hostname);
      const options = world(own, { pid: undefined });
      let asked = 0;
      const { connect, ...host } = options.host!;
      const answering = (...given: Parameters<NonNullable<typeof connect>>) => {
        if (asked++ > 0) return Promise.resolve(driver); // it came in between
        return connect!(...given);
      };
      await Deno.writeTextFile(join(home, "socket"), "");
      const driver = await connect!({ socket: join(home, "socket") });
      const args = ["daemon", "start", "--hostname", hostname, "--timeout", "1s"];
      const result = await runJson(args, { ...options, host: { ...host, connect: answering } });
      assert.equal(result.code, EXIT_CODES[code], JSON.stringify(result));
      await allEnded();
    }
    await Deno.writeTextFile(join(home, "pilot.sock"), "");
    const beside = await runJson(["daemon", "start"], world(home, { pid: undefined }));
    assert.equal(beside.code, EXIT_CODES.already_exists);
    assert.match(String(beside.error?.message), /already running on .*pilot\.sock/);
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

Deno.test("daemon start fails when its hostname is refused, and says that the daemon runs", async () => {
  await withDir(async (home) => {
    await Deno.writeTextFile(join(home, "config.json"), '{"webhook":"http://x/"}');
    const options = world(home, {
      node_id: 3,
      address: "0:0000.0000.0003",
      registration: "registered",
      hostname_error: 'hostname "bob" already in use',
    });
    const { code, stdout, stderr } = await run(["daemon", "start", "--hostname", "bob"], options);
    try {
      assert.equal(code, 4);
      assert.match(stdout, /^Daemon running[^]*0:0000\.0000\.0003/);
      assert.match(
        stderr,
        /runs and is registered, but without a hostname: hostname "bob" already/,
      );
      assert.match(stderr, /set-hostname NAME/);
      assert.match(stderr, /^warning: .*config\.json: unknown keys ignored: webhook$/m);
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
