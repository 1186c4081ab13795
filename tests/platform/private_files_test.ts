import assert from "node:assert/strict";
import { join } from "node:path";
import {
  ensurePrivateDir,
  exists,
  readPrivateFile,
  readTextFile,
  writeFileAtomic,
} from "../../platform/private_files.ts";
import { PilotError } from "../../protocol/errors.ts";

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
const mode = async (path: string) => (await Deno.stat(path)).mode! & 0o777;
const hasCode = (code: string) => (error: unknown) =>
  error instanceof PilotError && error.code === code;

Deno.test("writeFileAtomic replaces content and mode and leaves nothing else behind", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "state.json");
    await Deno.writeTextFile(path, "old", { mode: 0o644 });
    await writeFileAtomic(path, "new");
    assert.equal(await Deno.readTextFile(path), "new");
    assert.equal(await mode(path), 0o600);
    await writeFileAtomic(path, new Uint8Array([1, 2]), { mode: 0o640 });
    assert.deepEqual(await Deno.readFile(path), new Uint8Array([1, 2]));
    assert.equal(await mode(path), 0o640);
    assert.deepEqual(names(dir), ["state.json"]);
  });
});

Deno.test("writeFileAtomic keeps a symbolic link and writes what it points to", async () => {
  await withDir(async (dir) => {
    await Deno.mkdir(join(dir, "real"));
    const target = join(dir, "real", "file");
    await Deno.writeTextFile(target, "old");
    await Deno.symlink(target, join(dir, "link"));
    await writeFileAtomic(join(dir, "link"), "new");
    assert.equal(await Deno.readTextFile(target), "new");
    assert.ok((await Deno.lstat(join(dir, "link"))).isSymlink);
  });
});

Deno.test("writeFileAtomic leaves the old content and no temporary file when it fails", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "taken");
    await Deno.mkdir(path);
    await assert.rejects(writeFileAtomic(path, "x"), hasCode("io_error"));
    assert.deepEqual(names(dir), ["taken"]);
    await assert.rejects(writeFileAtomic(join(dir, "no", "dir"), "x"), hasCode("io_error"));
  });
});

Deno.test("writeFileAtomic leaves one whole version when many write at once", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "state");
    const versions = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
    await Promise.all(versions.map((text) => writeFileAtomic(path, text)));
    assert.ok(versions.includes(await Deno.readTextFile(path)));
    assert.deepEqual(names(dir), ["state"]);
  });
});

Deno.test("ensurePrivateDir makes 0700 directories and leaves the mode of an existing one", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "a", "b");
    await ensurePrivateDir(path);
    assert.equal(await mode(path), 0o700);
    assert.equal(await mode(join(dir, "a")), 0o700);
    await Deno.chmod(path, 0o755);
    await ensurePrivateDir(path);
    assert.equal(await mode(path), 0o755);
    await Deno.writeTextFile(join(dir, "file"), "");
    await assert.rejects(ensurePrivateDir(join(dir, "file")), hasCode("io_error"));
  });
});

Deno.test("readPrivateFile refuses files that others may read, with a hint", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "secret");
    assert.equal(await readPrivateFile(path), undefined);
    await Deno.writeTextFile(path, "key", { mode: 0o600 });
    assert.equal(await readPrivateFile(path), "key");
    for (const open of [0o640, 0o604, 0o620]) {
      await Deno.chmod(path, open);
      await assert.rejects(
        readPrivateFile(path),
        (error) => hasCode("denied")(error) && (error as PilotError).hint!.includes("chmod 600"),
      );
    }
    assert.equal(await readTextFile(path), "key");
    await assert.rejects(readTextFile(dir), hasCode("io_error"));
  });
});

Deno.test("exists says whether something is there", async () => {
  await withDir(async (dir) => {
    assert.equal(await exists(dir), true);
    assert.equal(await exists(join(dir, "x")), false);
    await Deno.writeTextFile(join(dir, "file"), "");
    assert.equal(await exists(join(dir, "file", "x")), false);
  });
});
