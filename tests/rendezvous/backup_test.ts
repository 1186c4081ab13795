/** Backups of a store whose server runs, and what stands in their way. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { PilotError } from "../../protocol/errors.ts";
import { backupStore } from "../../rendezvous/mod.ts";
import { SCHEMA_VERSION } from "../../rendezvous/registry/store/schema.ts";
import { RawClient, registered, type TestNode } from "./support/client.ts";
import { start, withDirectory } from "./support/server.ts";

/** Fails with a code, and leaves no temporary file. */
async function refuses(
  directory: string,
  options: { store: string; file: string; force?: boolean },
  code: string,
): Promise<PilotError> {
  const before = names(directory);
  let failure: unknown;
  try {
    await backupStore({ force: false, ...options });
  } catch (error) {
    failure = error;
  }
  assert.ok(failure instanceof PilotError, String(failure));
  assert.equal(failure.code, code, failure.message);
  assert.deepEqual(names(directory), before);
  return failure;
}

function names(directory: string): string[] {
  return Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();
}

/** A store with one node, its server stopped. */
async function stopped(directory: string): Promise<string> {
  const store = `${directory}/store`;
  await using server = await start({ store });
  using client = await RawClient.open(server.registryAddr);
  await registered(client);
  return store;
}

Deno.test("a backup made while nodes register holds every node acknowledged before it began", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    const acknowledged: TestNode[] = [];
    const enough = Promise.withResolvers<void>();
    let isOver = false;
    await using server = await start({ store });
    const writers = Array.from({ length: 3 }, async () => {
      using client = await RawClient.open(server.registryAddr);
      while (!isOver) {
        acknowledged.push(await registered(client));
        if (acknowledged.length === 40) enough.resolve();
      }
    });
    await enough.promise;
    const file = `${directory}/backup.db`;
    for (let round = 0; round < 3; round++) {
      const before = [...acknowledged];
      const result = await backupStore({ store, file, force: round > 0 });
      assert.ok(result.nodes >= before.length);
      assert.equal(result.schema, SCHEMA_VERSION);
      assert.equal((await Deno.stat(file)).size, result.bytes);
      const db = new DatabaseSync(file, { readOnly: true });
      const keys = new Map(
        db.prepare("SELECT id, public_key FROM nodes").all()
          .map((row) => [row["id"], row["public_key"]]),
      );
      db.close();
      for (const { id, identity } of before) assert.equal(keys.get(id), identity.publicKeyBase64);
    }
    isOver = true;
    await Promise.all(writers);
    assert.deepEqual(names(directory), ["backup.db", "store"]);

    // Restored into a new directory, it is a registry.
    const restored = `${directory}/restored`;
    await Deno.mkdir(restored);
    await Deno.copyFile(file, `${restored}/registry.db`);
    await using second = await start({ store: restored });
    using client = await RawClient.open(second.registryAddr);
    const [first] = acknowledged;
    assert.ok(first !== undefined);
    assert.equal((await first.register(client))["node_id"], first.id);
  }));

Deno.test("a backup is private, one file, and works without a server", () =>
  withDirectory(async (directory) => {
    const store = await stopped(directory);
    const file = `${directory}/backup.db`;
    assert.equal((await backupStore({ store, file, force: false })).nodes, 1);
    assert.deepEqual(names(directory), ["backup.db", "store"]);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    }
    await using server = await start({ store }); // and the store still opens
    assert.ok(server.registryAddr !== "");
  }));

Deno.test("a backup replaces a file only when asked to, and never the store", () =>
  withDirectory(async (directory) => {
    const store = await stopped(directory);
    const file = `${directory}/backup.db`;
    await Deno.writeTextFile(file, "precious", { mode: 0o644 });
    const error = await refuses(directory, { store, file }, "already_exists");
    assert.deepEqual(error.advice, { id: "replace_file" });
    assert.equal(await Deno.readTextFile(file), "precious");
    await backupStore({ store, file, force: true });
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    }
    for (const name of ["registry.db", "registry.db-wal", "registry.db-shm"]) {
      const part = `${store}/../store/${name}`;
      await refuses(directory, { store, file: part, force: true }, "invalid_argument");
    }
  }));

Deno.test("a backup needs a store of ours and a place to write to", () =>
  withDirectory(async (directory) => {
    const store = await stopped(directory);
    const file = `${directory}/backup.db`;
    await refuses(directory, { store: `${directory}/none`, file }, "not_found");
    await refuses(directory, { store, file: `${directory}/none/backup.db` }, "io_error");
    await Deno.mkdir(`${directory}/folder`);
    await refuses(directory, { store, file: `${directory}/folder`, force: true }, "io_error");
    const other = `${directory}/other`;
    await Deno.mkdir(other);
    const db = new DatabaseSync(`${other}/registry.db`);
    db.exec("CREATE TABLE birds (name TEXT)");
    db.close();
    await refuses(directory, { store: other, file }, "invalid_state");
    const newer = new DatabaseSync(`${store}/registry.db`);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    await refuses(directory, { store, file }, "invalid_state");
  }));

Deno.test("a damaged store gives no backup and leaves the last good one alone", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    {
      await using server = await start({ store });
      using client = await RawClient.open(server.registryAddr);
      for (let i = 0; i < 60; i++) await registered(client, { owner: "x".repeat(250) });
    }
    const file = `${directory}/backup.db`;
    await backupStore({ store, file, force: false });
    const good = await Deno.readFile(file);
    const bytes = await Deno.readFile(`${store}/registry.db`);
    bytes.fill(0xa5, 8192);
    await Deno.writeFile(`${store}/registry.db`, bytes);
    await refuses(directory, { store, file, force: true }, "io_error");
    assert.deepEqual(await Deno.readFile(file), good);
  }));
