import assert from "node:assert/strict";
import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { PilotError } from "../../../protocol/errors.ts";

// Decided while FFI is permitted: the self-test runs once per process.
const problem = linuxSocketProblem();
const isLinux = problem === "";

const hasIpv6 = canBind("::1");

function canBind(hostname: string): boolean {
  try {
    Deno.listenDatagram({ transport: "udp", hostname, port: 0 }).close();
    return true;
  } catch {
    return false; // A machine without IPv6.
  }
}

Deno.test("the Linux socket is not done without because it gets its batches wrong", () => {
  // Where it does not work its tests are left out; this is the one reason that would be a fault of ours.
  assert.doesNotMatch(problem, /came back/);
});

Deno.test("openUdpSocket auto takes the Linux socket where it works", async () => {
  const socket = await openUdpSocket({ host: "", port: 0 });
  assert.equal(socket.kind, isLinux ? "linux" : "portable");
  assert.equal(socket.local.host, hasIpv6 ? "::" : "0.0.0.0");
  await socket.close();
});

for (const kind of ["portable", ...isLinux ? ["linux"] as const : []] as const) {
  Deno.test(`openUdpSocket ${kind} without a host reaches and is reached by both kinds of addresses`, async () => {
    const socket = await openUdpSocket({ host: "", port: 0, kind });
    const hosts = hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    for (const host of hosts) {
      const got = Promise.withResolvers<string>();
      const peer = await openUdpSocket({ host, port: 0, kind: "portable" });
      peer.start((data, from) => got.resolve(`${data.length} from ${from.host}:${from.port}`));
      const buffer = socket.acquire(5);
      socket.send(buffer, 5, peer.local);
      assert.equal(await got.promise, `5 from ${host}:${socket.local.port}`);
      const back = Promise.withResolvers<string>();
      const receiver = await openUdpSocket({ host: "", port: 0, kind });
      receiver.start((data, from) => back.resolve(`${data.length} from ${from.host}`));
      peer.send(peer.acquire(3), 3, { host, port: receiver.local.port });
      assert.equal(await back.promise, `3 from ${host}`);
      await Promise.all([peer.close(), receiver.close()]);
    }
    await socket.close();
  });

  Deno.test(`openUdpSocket ${kind} without a host does not make do with IPv4 when the port is taken`, async () => {
    const first = await openUdpSocket({ host: "", port: 0, kind });
    await assert.rejects(
      openUdpSocket({ host: "", port: first.local.port, kind }),
      (error) => error instanceof PilotError && error.code === "already_exists",
    );
    await first.close();
  });
}

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
