/** The rendezvous as a process: ready line, signals, and what `kill -9` leaves behind. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { challenges } from "./support/challenges.ts";
import { parseJoinUri } from "../../platform/join_uri.ts";
import { PilotError } from "../../protocol/errors.ts";
import { runRendezvous } from "../../rendezvous/mod.ts";
import { RawClient, registered, TestNode } from "./support/client.ts";
import { start, withDirectory } from "./support/server.ts";

const MAIN = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** A server process that has said that it is ready. */
class ServerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly readyLine: string;
  /** The line below it; none with JSON. */
  readonly joinLine: string | undefined;

  constructor(child: Deno.ChildProcess, lines: readonly string[]) {
    this.#child = child;
    [this.readyLine, this.joinLine] = [lines[0]!, lines[1]];
  }

  static async start(store: string, ...args: string[]): Promise<ServerProcess> {
    const where = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"];
    const log = ["--log-level", "warn"];
    const command = ["rendezvous", "run", ...where, "--store", store, ...log, ...args];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", MAIN, ...command],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const lines = () => text.split("\n").slice(0, -1);
    while (lines().length < (args[0] === "--json" ? 1 : 2)) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    await reader.cancel();
    return new ServerProcess(child, lines());
  }

  get registryAddr(): string {
    return this.readyLine.match(/registry (\S+),/)?.[1] ?? assert.fail(this.readyLine);
  }

  async kill(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    this.#child.kill(signal);
    return await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already, which is what we want.
    }
    await this.#child.status;
  }
}

Deno.test("rendezvous run says where it listens and ends in order on SIGTERM", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    await using server = await ServerProcess.start(store, "--json");
    const ready = JSON.parse(server.readyLine);
    assert.deepEqual(Object.keys(ready), ["status", "data"]);
    assert.equal(ready.status, "ok");
    assert.equal(ready.data.store, store);
    assert.ok(Number.isInteger(ready.data.pid));
    using client = await RawClient.open(ready.data.registry);
    await registered(client);
    assert.match(ready.data.beacon, /^127\.0\.0\.1:\d+$/);
    const status = await server.kill("SIGTERM");
    assert.equal(status.code, 0);
    assert.equal(status.signal, null);
  }));

Deno.test("rendezvous run prints the command by which others join, and gives programs the URI", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    let printed: string | undefined;
    {
      await using server = await ServerProcess.start(store);
      const [, uri] = server.joinLine!.match(/^pilotctl join '(pilot:[^']+)'$/)!;
      const target = parseJoinUri(uri!);
      assert.equal(target.registry, server.registryAddr);
      assert.ok(server.readyLine.endsWith(`key ${target.registryKey}, tls ${target.fingerprint}`));
      printed = uri;
    }
    await using server = await ServerProcess.start(store, "--json");
    const { join_uri, join_hint } = JSON.parse(server.readyLine).data;
    const pins = (uri: string) => uri.slice(uri.indexOf("&fingerprint"));
    assert.equal(pins(join_uri), pins(printed!), "it stays the same server");
    assert.equal(join_hint, null);
  }));

Deno.test("everything acknowledged survives kill -9, again and again", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    const acknowledged: TestNode[] = [];
    for (let round = 0; round < 2; round++) {
      await using server = await ServerProcess.start(store);
      const writers = Array.from({ length: 4 }, async () => {
        using client = await RawClient.open(server.registryAddr);
        for (;;) {
          const node = await TestNode.create();
          const request = await node.registration();
          // Ends by the death of the server, at whatever point it is.
          const reply = await client.call(request).catch(() => undefined);
          if (reply === undefined) return;
          node.id = Number(reply["node_id"]);
          acknowledged.push(node);
          if (acknowledged.length === 60 * (round + 1)) await server.kill("SIGKILL");
        }
      });
      await Promise.all(writers);
    }
    assert.ok(acknowledged.length >= 120);
    assert.equal(new Set(acknowledged.map(({ id }) => id)).size, acknowledged.length);
    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    for (const { id, identity } of acknowledged) {
      const reply = await client.ok({ type: "lookup", node_id: id });
      assert.equal(reply["public_key"], identity.publicKeyBase64);
    }
    const [first] = acknowledged;
    assert.ok(first !== undefined);
    const signature = await first.sign(challenges.heartbeat(first.id));
    await client.ok({ type: "heartbeat", node_id: first.id, signature });
    assert.ok((await registered(client)).id > acknowledged.length);
  }));

Deno.test("runRendezvous names the port that is taken and leaves the store free", () =>
  withDirectory(async (directory) => {
    await using first = await start();
    const options = {
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      store: directory,
    };
    const rejects = async (taken: object, text: string) => {
      await assert.rejects(runRendezvous({ ...options, ...taken }), (error) => {
        assert.ok(error instanceof PilotError);
        assert.equal(error.code, "already_exists");
        assert.ok(error.message.includes(text), error.message);
        assert.equal(error.advice?.id, "free_address");
        return true;
      });
    };
    const port = (addr: string) => addr.slice(addr.lastIndexOf(":") + 1);
    await rejects(
      { registryAddr: first.registryAddr },
      `Port ${port(first.registryAddr)} is already in use, the registry`,
    );
    await rejects(
      { beaconAddr: first.beaconAddr },
      `Port ${port(first.beaconAddr)} is already in use, the beacon`,
    );
    await using second = await start({ store: directory });
    using client = await RawClient.open(second.registryAddr);
    await registered(client);
  }));

Deno.test("Rendezvous refuses addresses that are none", async () => {
  for (const registryAddr of ["", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "[::1"]) {
    await assert.rejects(start({ registryAddr }), { code: "invalid_argument" });
  }
  await assert.rejects(start({ registryAddr: "192.0.2.1:0" }), { code: "invalid_argument" });
});

Deno.test("Rendezvous listens on all interfaces when no host is named", async () => {
  await using server = await start({ registryAddr: ":0", beaconAddr: ":0" });
  const port = server.registryAddr.slice(server.registryAddr.lastIndexOf(":") + 1);
  using client = await RawClient.open(`127.0.0.1:${port}`);
  const node = await TestNode.create();
  assert.equal((await node.register(client))["observed_addr"], "127.0.0.1:4000");
});
