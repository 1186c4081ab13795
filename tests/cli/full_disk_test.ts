/** Output that cannot be written: `/dev/full` stands for a full disk. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { exists } from "../../platform/private_files.ts";
import { eventually } from "../e2e/processes.ts";
import { run, withDir } from "./support.ts";

// cspell:ignore pign

const PROGRAM = fileURLToPath(new URL("./fake_program.ts", import.meta.url));
const RUN = ["run", "--quiet", "--allow-all", PROGRAM];
const LINUX = { ignore: Deno.build.os !== "linux" };

/** Runs the program through a shell that redirects its output. */
async function shell(redirect: string, ...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", `exec "$0" "$@" ${redirect}`, Deno.execPath(), ...RUN, ...args],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("a result that cannot be written is an io_error, without a stack", LINUX, async () => {
  const full = await shell("> /dev/full", "version");
  assert.equal(full.code, EXIT_CODES.io_error);
  assert.match(full.stderr, /^error: Cannot write to standard output: No space left[^\n]*\n$/);
  const json = await shell("> /dev/full", "version", "--json");
  assert.equal(JSON.parse(json.stderr).code, "io_error");
});

Deno.test("an error that cannot be printed keeps its exit code", LINUX, async () => {
  const { code } = await shell("2> /dev/full", "pign");
  assert.equal(code, EXIT_CODES.invalid_argument);
});

Deno.test(
  "daemon start explains by the exit code why a daemon failed that could not write its log",
  LINUX,
  async () => {
    await withDir(async (home) => {
      await Deno.symlink("/dev/full", join(home, "pilot.log"));
      const { code, stderr } = await shell(
        "",
        "daemon",
        "start",
        "--home",
        home,
        "--hostname",
        "refuse",
      );
      assert.equal(code, EXIT_CODES.already_exists, stderr);
      assert.match(
        stderr,
        /did not start: It already exists \(exit code 4\).*its log\nhint: .*disk/,
      );
    });
  },
);

Deno.test("an argument of any length is quoted shortened", async () => {
  const { code, stderr } = await run(["set-hostname", "x".repeat(100_000)]);
  assert.equal(code, EXIT_CODES.invalid_argument);
  assert.ok(stderr.length < 2_000, String(stderr.length));
  assert.match(stderr, /characters\)/);
});

Deno.test("servers continue when their ready line cannot be written", LINUX, async () => {
  await withDir(async (home) => {
    const cli = fileURLToPath(new URL("../../cli.ts", import.meta.url));
    const start = (...args: string[]) =>
      new Deno.Command("sh", {
        args: [
          "-c",
          `exec "$0" "$@" > /dev/full`,
          Deno.execPath(),
          "run",
          "-q",
          "-A",
          cli,
          ...args,
        ],
        env: { PILOT_HOME: home },
        stdin: "null",
        stderr: "piped",
      }).spawn();
    const store = join(home, "store");
    const addresses = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"];
    const servers = [
      {
        child: start("daemon", "run", "--listen", "127.0.0.1:0", "--registry", "127.0.0.1:1"),
        ready: join(home, "pilot.sock"),
      },
      {
        child: start("rendezvous", "run", "--store", store, ...addresses),
        ready: join(store, "registry.db"),
      },
    ];
    for (const { child, ready } of servers) {
      const stderr = new Response(child.stderr).text();
      await eventually(`${ready} is there`, () => exists(ready).then((is) => is || undefined));
      child.kill("SIGTERM");
      assert.equal((await child.status).code, 0, await stderr);
      await stderr;
    }
  });
});
