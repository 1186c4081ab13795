/** Daemons on machines that let them do less than usual: interfaces not to be listed, few descriptors, a deaf beacon. */

import assert from "node:assert/strict";
import { lookup } from "node:dns/promises";
import { join } from "node:path";
import { connect, type Driver, PilotError } from "../../mod.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { startDaemon } from "./in_process.ts";
import { cliArgs, eventually, World } from "./processes.ts";

/** Starts a daemon by a command of its own, hands over its driver, and expects it to live until it is told to stop. */
async function withDaemon(
  world: World,
  command: (args: readonly string[]) => Deno.Command,
  body: (driver: Driver, socket: string) => Promise<void>,
): Promise<string> {
  const child = command(cliArgs("daemon", "run", "--listen", "127.0.0.1:0")).spawn();
  const log = new Response(child.stderr).text();
  try {
    const socket = join(world.dir, "poor", "pilot.sock");
    await using driver = await eventually(
      "the daemon answers",
      () => connect({ socket }).catch(() => undefined), // not yet
    );
    await body(driver, socket);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0, "an orderly end");
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended on its own, as it should.
    }
    await child.status;
  }
  return await log;
}

function options(world: World, args: readonly string[]): Deno.CommandOptions {
  return {
    args: [...args],
    env: world.env("poor"),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  };
}

Deno.test({
  name: "a daemon that may not list the interfaces runs, with one warning",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using world = await World.create();
    const log = await withDaemon(world, ([run, all, ...rest]) => {
      const args = [run!, all!, "--deny-sys=networkInterfaces", ...rest];
      return new Deno.Command(Deno.execPath(), options(world, args));
    }, async (driver) => {
      await eventually("it is well", async () => (await driver.health()).status === "ok");
    });
    assert.equal(log.match(/cannot list the network interfaces/g)?.length, 1, log);
  },
});

Deno.test({
  name:
    "a daemon with 64 descriptors survives 80 idle clients and tells others why there is no room",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await World.create();
    await withDaemon(world, (args) => {
      const script = 'ulimit -n 64 && exec "$@"';
      return new Deno.Command("sh", options(world, ["-c", script, "sh", Deno.execPath(), ...args]));
    }, async (driver, socket) => {
      const clients: Deno.UnixConn[] = [];
      try {
        for (let i = 0; i < 80; i++) {
          clients.push(await Deno.connect({ transport: "unix", path: socket }));
        }
        // At most a few are told at a time, and idle ones make room after some seconds.
        await eventually("another is told why, or let in", () =>
          connect({ socket }).then(
            (another) => another.close().then(() => true),
            (error) => error instanceof PilotError && error.code === "limit_exceeded",
          ));
        await eventually("it is well", async () => (await driver.health()).status === "ok");
      } finally {
        for (const client of clients) client.close();
      }
      const again = await eventually(
        "there is room",
        () => connect({ socket }).catch(() => undefined),
      ); // not yet
      await again.close();
    });
  },
});

/** Whether the name has addresses of both kinds here, and both work. */
async function hasBothLoopbacks(): Promise<boolean> {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
  } catch {
    return false; // no IPv6 on this machine
  }
  const found = await lookup("localhost", { all: true });
  return [4, 6].every((kind) => found.some(({ family }) => family === kind));
}

Deno.test({
  name: "a beacon that answers only at the second address of its name is found",
  ignore: !await hasBothLoopbacks(),
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      await using rendezvous = await Rendezvous.start({
        registryAddr: "127.0.0.1:0",
        beaconAddr: "[::1]:0",
        store: undefined,
      });
      const { port } = parseEndpoint(rendezvous.beaconAddr);
      const beacon = `localhost:${port}`;
      await using daemon = await startDaemon(dir, "alice", rendezvous, { beacon, listen: ":0" });
      await eventually("it is well", () => daemon.health().status === "ok");
      assert.equal(daemon.info().beacon_endpoint, `[::1]:${port}`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("health and info say what is wrong as long as the beacon does not answer, and ok afterwards", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await using rendezvous = await Rendezvous.start({
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      store: undefined,
    });
    const deaf = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    using _closing = { [Symbol.dispose]: () => deaf.close() };
    const beacon = `127.0.0.1:${(deaf.addr as Deno.NetAddr).port}`;
    {
      await using daemon = await startDaemon(dir, "alice", rendezvous, { beacon });
      assert.match(String(daemon.health().status_reasons), /^not registered yet/);
      await eventually("it is registered", () => daemon.node !== 0);
      await eventually("only the beacon is missing", () => {
        const reasons = daemon.health().status_reasons as string[];
        return reasons.length === 1 && reasons[0]!.startsWith("the beacon ");
      });
      const { status, status_reasons } = daemon.health();
      assert.equal(status, "degraded");
      assert.deepEqual(status_reasons, [
        `the beacon ${beacon} does not answer at ${beacon}: no relay and no hole punching`,
      ]);
      const info = daemon.info();
      assert.deepEqual(
        [info.status, info.beacon_answers, info.beacon_endpoint, info.endpoint_proven],
        ["degraded", false, beacon, false],
      );
    }
    await using daemon = await startDaemon(dir, "bob", rendezvous);
    await eventually("it is well", () => daemon.health().status === "ok");
    assert.deepEqual(daemon.info().status_reasons, []);
    assert.equal(daemon.info().endpoint_proven, true);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
