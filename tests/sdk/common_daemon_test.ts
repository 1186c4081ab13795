/** Who is believed at the place that all homes and users have in common. */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { Identity } from "../../protocol/crypto/identity.ts";
import { Cmd } from "../../protocol/ipc/mod.ts";
import { connect } from "../../sdk/mod.ts";
import { connectUnix } from "../../sdk/transport_deno.ts";
import { FakeDaemon } from "./fake_daemon.ts";
import { rejectsWith } from "./support.ts";

interface Place {
  readonly dir: string;
  /** Options of a program of the home. */
  readonly options: { socket: string; common: { path: string; home: string; identity: string } };
  readonly key: string;
}

/** A home with a key and no daemon, whose common place is the socket of `daemon`. */
async function withHome(path: string, body: (place: Place) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const identity = join(dir, "identity.json");
    const pair = await Identity.generate();
    await Deno.writeTextFile(identity, pair.toFile(), { mode: 0o600 });
    const common = { path, home: dir, identity };
    const options = { socket: join(dir, "pilot.sock"), common };
    await body({ dir, options, key: pair.publicKeyBase64 });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Answers what a driver asks before it is used. */
async function introduce(daemon: FakeDaemon, info: Record<string, unknown>): Promise<void> {
  const client = await daemon.nextClient();
  client.answerJson(await client.expect(Cmd.Info), { node_id: 5, ...info });
}

for (const mode of ["tagged", "untagged"] as const) {
  Deno.test(`a daemon at the common place is used when it has the key of the home (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    await withHome(daemon.path, async ({ options, key }) => {
      const asked = introduce(daemon, { public_key: key, home: "/moved" });
      await using driver = await connect(options);
      await asked;
      assert.ok(driver);
    });
  });

  Deno.test(`a daemon of another key is not used, and the reason is given (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    await withHome(daemon.path, async ({ options }) => {
      const asked = introduce(daemon, { public_key: "b3RoZXI=" });
      const error = await rejectsWith(connect(options), "not_running", /has another key than .*id/);
      await asked;
      assert.deepEqual(error.advice, { id: "start_daemon", socket: daemon.path });
    });
  });
}

Deno.test("a home without a key uses no daemon of another home, but one that reports no home", async () => {
  await using daemon = new FakeDaemon();
  await withHome(daemon.path, async ({ options, dir }) => {
    await Deno.remove(join(dir, "identity.json"));
    const first = introduce(daemon, { public_key: "a2V5", home: "/other/.pilot" });
    await rejectsWith(connect(options), "not_running", /is that of \/other\/\.pilot/);
    await first;
    const second = introduce(daemon, { public_key: "a2V5" });
    await using driver = await connect(options);
    await second;
    assert.ok(driver);
  });
});

Deno.test("nobody at either place is as nobody at the home's", async () => {
  const gone = new FakeDaemon();
  await gone[Symbol.asyncDispose]();
  await withHome(gone.path, async ({ options }) => {
    await rejectsWith(connect(options), "not_running", /No daemon answers at .*pilot\.sock$/);
  });
});

/** Tries to connect by a connector that counts, and gives the error. */
async function refused(options: Place["options"], connector = connectUnix) {
  let connections = 0;
  const counting = (path: string) => {
    if (path === options.common.path) connections++;
    return connector(path);
  };
  const error = await rejectsWith(connect({ ...options, connector: counting }), "not_running");
  return { error, connections };
}

Deno.test("nothing is opened where another user may have put the socket", async () => {
  await using daemon = new FakeDaemon();
  const dir = await Deno.makeTempDir();
  const link = join(dir, "pilot.sock");
  await Deno.symlink(daemon.path, link);
  await withHome(link, async ({ options }) => {
    const { error, connections } = await refused(options);
    assert.match(error.message, /pilot\.sock is not a socket/);
    assert.equal(connections, 0);
  });
  await Deno.remove(link);
  await Deno.link(daemon.path, link);
  await Deno.chmod(dir, 0o777);
  await withHome(link, async ({ options }) => {
    const { error, connections } = await refused(options);
    assert.match(error.message, /is writable by other users \(mode 777\)/);
    assert.equal(connections, 0);
  });
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a socket of another user is not opened", {
  ignore: process.geteuid?.() !== 0, // only root can give a file away
}, async () => {
  await using daemon = new FakeDaemon();
  await Deno.chown(daemon.path, 65534, 65534);
  await Deno.chmod(daemon.path, 0o666);
  await withHome(daemon.path, async ({ options }) => {
    const { error, connections } = await refused(options);
    assert.match(error.message, /belongs to another user \(uid 65534\)/);
    assert.equal(connections, 0);
  });
});

Deno.test("nothing is said to a socket that was put there in the moment of connecting", async () => {
  await using daemon = new FakeDaemon();
  const dir = await Deno.makeTempDir();
  const path = join(dir, "pilot.sock");
  await Deno.link(daemon.path, path);
  await withHome(path, async ({ options }) => {
    const swap = async (where: string) => {
      if (where !== path) return await connectUnix(where);
      await Deno.remove(path);
      const other = Deno.listen({ transport: "unix", path });
      const [mine, theirs] = await Promise.all([connectUnix(path), other.accept()]);
      other.close();
      said.push(readAll(theirs));
      return mine;
    };
    const said: Promise<number>[] = [];
    const { error } = await refused(options, swap);
    assert.match(error.message, /was replaced in this moment|No daemon/);
    assert.deepEqual(await Promise.all(said), [0]);
  });
  await Deno.remove(dir, { recursive: true });
});

/** How many bytes come until the end. */
async function readAll(conn: Deno.Conn): Promise<number> {
  let bytes = 0;
  for await (const chunk of conn.readable) bytes += chunk.length;
  return bytes;
}
