/** Damaged, foreign, newer, occupied and unwritable stores: a clear error, nothing changed. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { PilotError } from "../../../../protocol/errors.ts";
import type { RegistryStore, StoreBatch } from "../../../../rendezvous/registry/store/store.ts";
import { APPLICATION_ID, MIGRATIONS } from "../../../../rendezvous/registry/store/schema.ts";
import { SqliteStore } from "../../../../rendezvous/registry/store/sqlite.ts";
import { RawClient, registered, TestNode } from "../../support/client.ts";
import { start, withDirectory } from "../../support/server.ts";

const EMPTY: StoreBatch = {
  sequence: 1,
  nextNode: 1,
  nodes: [],
  trust: [],
  trustRemoved: [],
  requests: [],
  requestsRemoved: [],
  responses: [],
  responsesRemoved: [],
  nextNetwork: 1,
  networks: [],
  networksRemoved: [],
  members: [],
  membersRemoved: [],
  invites: [],
  invitesRemoved: [],
  bans: [],
  bansRemoved: [],
};

function node(id: number, hostname = ""): StoreBatch["nodes"][number] {
  return {
    id,
    key: btoa(String.fromCharCode(...new Uint8Array(32).fill(id))),
    proven: true,
    held: true,
    state: "live",
    owner: "",
    realAddr: "192.0.2.1:4000",
    lanAddrs: [],
    relayOnly: false,
    hostname,
    tags: ["a"],
    public: false,
    taskExec: false,
    version: "",
    offlineSince: 0,
    keyCreated: 1,
    keyRotated: 0,
    keyRotations: 0,
    poloScore: 0,
    keyExpires: 0,
    externalId: "",
  };
}

/** A store with two nodes in it, closed. */
async function filled(directory: string): Promise<string> {
  const store = await SqliteStore.open(directory);
  await store.commit({ ...EMPTY, nextNode: 3, nodes: [node(1, "one"), node(2)] });
  await store.close();
  return `${directory}/registry.db`;
}

/** Starting a server on the directory fails like this and changes no byte of the file. */
async function refuses(
  directory: string,
  expected: { code: string; message: RegExp },
): Promise<PilotError> {
  const path = `${directory}/registry.db`;
  const before = await Deno.readFile(path);
  let failure: unknown;
  try {
    await using _server = await start({ store: directory });
  } catch (error) {
    failure = error;
  }
  assert.ok(failure instanceof PilotError, String(failure));
  assert.equal(failure.code, expected.code);
  assert.match(failure.message, expected.message);
  assert.ok(failure.message.includes(directory));
  assert.ok(failure.hint !== undefined || failure.advice !== undefined);
  assert.deepEqual(await Deno.readFile(path), before);
  return failure;
}

Deno.test("a new store is private to its owner", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/deep/store`;
    const path = await filled(store);
    if (Deno.build.os === "windows") return;
    assert.equal((await Deno.stat(store)).mode! & 0o777, 0o700);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("a file that is no database is refused", () =>
  withDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/registry.db`, "not a database ".repeat(1000));
    await refuses(directory, { code: "io_error", message: /not a database/ });
  }));

Deno.test("a database of another program is refused", () =>
  withDirectory(async (directory) => {
    const db = new DatabaseSync(`${directory}/registry.db`);
    db.exec("CREATE TABLE photos (id INTEGER)");
    db.close();
    await refuses(directory, { code: "invalid_state", message: /not a Pilot registry/ });
  }));

Deno.test("a database of a newer version is refused", () =>
  withDirectory(async (directory) => {
    const db = new DatabaseSync(await filled(directory));
    db.exec("PRAGMA user_version = 99");
    db.close();
    await refuses(directory, { code: "invalid_state", message: /newer version \(schema 99/ });
  }));

Deno.test("a database with damaged pages is refused", () =>
  withDirectory(async (directory) => {
    const store = await SqliteStore.open(directory);
    const nodes = Array.from({ length: 200 }, (_, i) => node(i + 1));
    await store.commit({ ...EMPTY, nextNode: 201, nodes });
    await store.close();
    const path = `${directory}/registry.db`;
    const bytes = await Deno.readFile(path);
    bytes.fill(0xa5, 8192);
    await Deno.writeFile(path, bytes);
    await refuses(directory, { code: "io_error", message: /Cannot use the registry store/ });
  }));

Deno.test("a database cut short is refused", () =>
  withDirectory(async (directory) => {
    const path = await filled(directory);
    await Deno.truncate(path, 4096);
    await refuses(directory, { code: "io_error", message: /Cannot use the registry store/ });
  }));

for (
  const [what, sql] of [
    ["a number that was never given out", "UPDATE meta SET value = 2"],
    ["two nodes of one key", "UPDATE nodes SET public_key = (SELECT max(public_key) FROM nodes)"],
    ["two nodes of one name", "UPDATE nodes SET hostname = 'one'"],
    ["a malformed key", "UPDATE nodes SET public_key = 'x' WHERE id = 1"],
    ["a malformed list", "UPDATE nodes SET tags = '{' WHERE id = 1"],
    ["an unknown state", "UPDATE nodes SET state = 9 WHERE id = 1"],
    ["no number counter", "DELETE FROM meta"],
    ["a missing table", "DROP TABLE trust"],
  ] as const
) {
  Deno.test(`a database with ${what} is refused`, () =>
    withDirectory(async (directory) => {
      const db = new DatabaseSync(await filled(directory));
      db.exec(sql);
      db.close();
      await refuses(directory, { code: "io_error", message: /Cannot use the registry store/ });
    }));
}

Deno.test("an empty database file, left by a crash at the very first start, is used", () =>
  withDirectory(async (directory) => {
    await Deno.writeFile(`${directory}/registry.db`, new Uint8Array(0));
    await using server = await start({ store: directory });
    using client = await RawClient.open(server.registryAddr);
    assert.equal((await registered(client)).id, 1);
  }));

Deno.test("a second server on the same store is refused, the first continues", () =>
  withDirectory(async (directory) => {
    await using server = await start({ store: directory });
    await assert.rejects(start({ store: directory }), (error) => {
      assert.ok(error instanceof PilotError);
      assert.equal(error.code, "invalid_state");
      assert.ok(error.message.includes(`in use by another server (process ${Deno.pid})`));
      return true;
    });
    using client = await RawClient.open(server.registryAddr);
    await registered(client);
  }));

Deno.test("a store path that is a file is refused", () =>
  withDirectory(async (directory) => {
    const path = `${directory}/file`;
    await Deno.writeTextFile(path, "x");
    await assert.rejects(start({ store: path }), { name: "PilotError", code: "io_error" });
    assert.equal(await Deno.readTextFile(path), "x");
  }));

Deno.test("a commit that fails leaves the store as it was and can be tried again", () =>
  withDirectory(async (directory) => {
    const path = await filled(directory);
    const store: RegistryStore = await SqliteStore.open(directory);
    const second = new DatabaseSync(path);
    second.exec("BEGIN IMMEDIATE"); // holds the write lock
    const batch = { ...EMPTY, sequence: 2, nextNode: 4, nodes: [node(3)] };
    await assert.rejects(store.commit(batch), { name: "PilotError", code: "io_error" });
    second.exec("ROLLBACK");
    second.close();
    await store.commit(batch);
    const ids: number[] = [];
    store.load({
      sequence: (value) => assert.equal(value, 2),
      nextNode: (value) => assert.equal(value, 4),
      node: ({ id }) => ids.push(id),
      trust: () => assert.fail(),
      request: () => assert.fail(),
      response: () => assert.fail(),
      nextNetwork: (value) => assert.equal(value, 1),
      network: () => assert.fail(),
      member: () => assert.fail(),
      invite: () => assert.fail(),
      ban: () => assert.fail(),
    });
    assert.deepEqual(ids, [1, 2, 3]);
    await store.close();
  }));

Deno.test("a registry that has lost its database is refused, a backup brings it back, and it starts over when allowed", () =>
  withDirectory(async (directory) => {
    {
      await using server = await start({ store: directory });
      using client = await RawClient.open(server.registryAddr);
      await registered(client);
    }
    const path = `${directory}/registry.db`;
    const backup = await Deno.readFile(path);
    const lost = {
      code: "invalid_state",
      message: /empty or missing although the registry's key exists/,
    };
    await Deno.truncate(path, 0);
    const error = await refuses(directory, lost);
    assert.equal(error.advice?.id, "restore_store");
    await Deno.remove(path);
    await assert.rejects(start({ store: directory }), { code: "invalid_state" });
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound, "and makes no file");
    await Deno.writeFile(path, backup, { mode: 0o600 });
    {
      await using server = await start({ store: directory });
      using client = await RawClient.open(server.registryAddr);
      assert.equal((await registered(client)).id, 2);
    }
    await assert.rejects(start({ store: directory, newStore: true }), { code: "already_exists" });
    await Deno.remove(path);
    await using server = await start({ store: directory, newStore: true });
    using client = await RawClient.open(server.registryAddr);
    assert.equal((await registered(client)).id, 1);
  }));

Deno.test("a database of an earlier version is brought up to date, and its nodes are held to nothing", () =>
  withDirectory(async (directory) => {
    const db = new DatabaseSync(`${directory}/registry.db`);
    for (const step of MIGRATIONS.slice(0, 2)) db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 2;
      UPDATE meta SET value = 2 WHERE name = 'next_node'`);
    const known = await TestNode.create();
    db.prepare(`INSERT INTO nodes VALUES (${Array(20).fill("?").join()})`).run(
      ...[1, known.identity.publicKeyBase64, 1, 0, "", "127.0.0.1:4000", "[]", 0, "old", "[]"],
      ...[0, 0, "", 0, 1, 0, 0, 0, 0, ""],
    );
    db.close();
    await using server = await start({ store: directory });
    using client = await RawClient.open(server.registryAddr);
    await known.register(client);
    assert.equal(known.id, 1);
    assert.equal((await client.ok({ type: "lookup", node_id: 1 }))["hostname"], "old");
  }));
