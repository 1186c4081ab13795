/** Real background daemons as shells, log rotation and terminals treat them. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../platform/private_files.ts";
import { readPidFile } from "../../platform/pidfile.ts";
import { cliArgs, eventually } from "./processes.ts";

// cspell:ignore qefc

const linux = { ignore: Deno.build.os !== "linux" };
/** Nobody answers there; nothing of this needs a registry. */
const ALONE = ["--registry", "127.0.0.1:1", "--beacon", "127.0.0.1:1"];

interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(command: string, args: string[], env = {}, clearEnv = false): Promise<Output> {
  const { PATH = "", HOME = "" } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    clearEnv,
    env: { ...(clearEnv ? { PATH, DENO_DIR: `${HOME}/.cache/deno` } : {}), NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const pilotctl = (...args: string[]) => run(Deno.execPath(), cliArgs(...args));

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test(
  "a background daemon holds nothing of its caller, and its command line names it",
  linux,
  () =>
    withDir(async (home) => {
      const lock = `${home}/lock`;
      const start = [Deno.execPath(), ...cliArgs("daemon", "start", "--home", home, ...ALONE)];
      const script = `( flock -n 9 && exec "$@" ) 9>"$0" && flock -n "$0" echo free`;
      const started = await run("sh", ["-c", script, lock, ...start]);
      try {
        assert.match(started.stdout, /free\n$/, started.stderr);
        const pid = await readPidFile(join(home, "pilot.pid"));
        const { stdout } = await run("cat", [`/proc/${pid}/cmdline`]);
        assert.match(stdout, /^pilot-daemon\0/);
      } finally {
        assert.equal((await pilotctl("daemon", "stop", "--home", home)).code, 0);
      }
    }),
);

Deno.test(
  "a background daemon continues in a new log when the old one was renamed and SIGHUP sent",
  linux,
  () =>
    withDir(async (home) => {
      const log = join(home, "pilot.log");
      const started = await pilotctl("daemon", "start", "--home", home, ...ALONE);
      try {
        assert.equal(started.code, 0, started.stderr);
        const pid = await readPidFile(join(home, "pilot.pid"));
        await Deno.rename(log, `${log}.old`);
        Deno.kill(pid!, "SIGHUP");
        const text = () => Deno.readTextFile(log).catch(() => "");
        await eventually("the new log", async () => /log reopened/.test(await text()));
        assert.equal((await pilotctl("info", "--home", home)).code, 0);
      } finally {
        assert.equal((await pilotctl("daemon", "stop", "--home", home)).code, 0);
      }
      assert.match(await Deno.readTextFile(log), /daemon stopping.*SIGTERM/);
      assert.doesNotMatch(await Deno.readTextFile(`${log}.old`), /daemon stopping/);
    }),
);

Deno.test(
  "a rendezvous without a terminal continues in a new log at SIGHUP",
  linux,
  () =>
    withDir(async (dir) => {
      const log = join(dir, "r.log");
      const addresses = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"];
      const child = new Deno.Command(Deno.execPath(), {
        args: cliArgs("rendezvous", "--memory", ...addresses, "--log-file", log, "--json"),
        ...{ stdin: "null", stdout: "piped", stderr: "null" },
      }).spawn();
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      await lines.read(); // it is ready
      await Deno.remove(log);
      child.kill("SIGHUP");
      await eventually("the new log", () => exists(log));
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0);
      await lines.cancel();
    }),
);

Deno.test("a daemon in the foreground ends in order with its terminal", {
  ignore: linux.ignore || !(await exists("/usr/bin/script")),
}, () =>
  withDir(async (home) => {
    const command = [Deno.execPath(), ...cliArgs("daemon", "run", "--home", home, ...ALONE)];
    const terminal = new Deno.Command("script", {
      args: ["-qefc", command.join(" "), "/dev/null"],
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    const socket = join(home, "pilot.sock");
    await eventually("the socket", () => exists(socket));
    terminal.kill("SIGKILL");
    await terminal.status;
    await eventually("the end", async () => !(await exists(join(home, "pilot.pid"))));
    assert.equal(await exists(socket), false);
  }));

Deno.test(
  "two homes have their own daemons, and neither is talked to by a third one",
  linux,
  () =>
    withDir(async (dir) => {
      const common = join(dir, "run", "pilot.sock");
      await Deno.mkdir(join(dir, "run"), { mode: 0o700 });
      const of = (name: string) => ({ HOME: join(dir, name), XDG_RUNTIME_DIR: join(dir, "run") });
      const cli = async (name: string, ...args: string[]) => {
        const { code, stdout, stderr } = await run(
          Deno.execPath(),
          cliArgs(...args, "--json"),
          of(name),
          true,
        );
        return { code, stderr, data: stdout === "" ? {} : JSON.parse(stdout).data };
      };
      for (const name of ["one", "two"]) await Deno.mkdir(join(dir, name));
      try {
        const one = await cli("one", "daemon", "start", ...ALONE);
        assert.deepEqual([one.code, one.data.common_socket], [0, common], one.stderr);
        const two = await cli("two", "daemon", "start", ...ALONE);
        assert.deepEqual([two.code, two.data.common_socket], [0, null], two.stderr);
        for (const name of ["one", "two"]) {
          assert.equal((await cli(name, "info")).data.home, join(dir, name, ".pilot"));
        }
        const there = await cli("two", "info", "--socket", common); // as other programs find it
        assert.equal(there.data.home, join(dir, "one", ".pilot"));
        const stopped = await cli("two", "daemon", "stop");
        assert.equal(stopped.code, 0);
        const lost = await cli("two", "info");
        assert.notEqual(lost.code, 0);
        assert.match(lost.stderr, /No daemon answers.*has another key than/);
      } finally {
        await cli("one", "daemon", "stop");
        await cli("two", "daemon", "stop");
      }
      assert.equal(await exists(common), false);
    }),
);
