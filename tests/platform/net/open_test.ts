import assert from "node:assert/strict";
import { openUdpSocket } from "../../../platform/net/open.ts";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { PilotError } from "../../../protocol/errors.ts";

// Decided while FFI is permitted: the self-test runs once per process.
const problem = linuxSocketProblem();
const isLinux = problem === "";

Deno.test("the Linux socket is not done without because it gets its batches wrong", () => {
  // Where it does not work its tests are left out; this is the one reason that would be a fault of ours.
  assert.doesNotMatch(problem, /came back/);
});

Deno.test("openUdpSocket auto takes the Linux socket where it works", async () => {
  const socket = await openUdpSocket({ host: "", port: 0 });
  assert.equal(socket.kind, isLinux ? "linux" : "portable");
  assert.equal(socket.local.host, "0.0.0.0");
  await socket.close();
});

Deno.test("openUdpSocket takes the portable socket without FFI, and says so for linux", async () => {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-check",
      "--allow-net=127.0.0.1",
      `--config=${new URL("../../../deno.json", import.meta.url).pathname}`,
      new URL("./open_without_ffi.ts", import.meta.url).pathname,
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.notEqual(text, "", new TextDecoder().decode(stderr));
  const { kind, linux } = JSON.parse(text);
  assert.equal(kind, "portable");
  assert.match(linux, /^unavailable: .*FFI is not permitted/);
});

Deno.test("openUdpSocket rejects a host without an address", async () => {
  await assert.rejects(
    openUdpSocket({ host: "no-such-host.invalid", port: 0 }),
    (error) => error instanceof PilotError && error.code === "io_error",
  );
});
