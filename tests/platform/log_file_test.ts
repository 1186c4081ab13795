import assert from "node:assert/strict";
import { join } from "node:path";
import { LogFile } from "../../platform/log_file.ts";
import { PilotError } from "../../protocol/errors.ts";

async function withDir(body: (path: string) => void | Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(join(dir, "pilot.log"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const read = (path: string) => Deno.readTextFileSync(path);
const names = (path: string) =>
  [...Deno.readDirSync(join(path, ".."))].map(({ name }) => name).sort();

Deno.test("a log file is appended to, private to its user", async () => {
  await withDir((path) => {
    for (const line of ["one", "two"]) {
      const log = new LogFile({ path });
      log.write(line);
      log.close();
    }
    assert.equal(read(path), "one\ntwo\n");
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  });
});

Deno.test("a log file is bounded: the oldest lines go", async () => {
  await withDir((path) => {
    const log = new LogFile({ path, maxBytes: 10, maxOldFiles: 2 });
    for (let n = 0; n < 8; n++) log.write(`n=${n}`); // 4 bytes each, two in a file
    log.close();
    assert.deepEqual(names(path), ["pilot.log", "pilot.log.1", "pilot.log.2"]);
    assert.deepEqual(
      [read(`${path}.2`), read(`${path}.1`), read(path)],
      ["n=2\nn=3\n", "n=4\nn=5\n", "n=6\nn=7\n"],
    );
  });
});

Deno.test("a line longer than the bound has a file of its own", async () => {
  await withDir((path) => {
    const log = new LogFile({ path, maxBytes: 4, maxOldFiles: 1 });
    for (const line of ["a", "long line", "b"]) log.write(line);
    log.close();
    assert.deepEqual([read(`${path}.1`), read(path)], ["long line\n", "b\n"]);
  });
});

Deno.test("a log that was renamed is reopened, one that was truncated continues from its start", async () => {
  await withDir((path) => {
    const log = new LogFile({ path, maxBytes: 10 });
    log.write("old");
    Deno.renameSync(path, `${path}.old`);
    log.write("old");
    log.reopen();
    log.write("new");
    assert.deepEqual([read(`${path}.old`), read(path)], ["old\nold\n", "new\n"]);
    Deno.truncateSync(path); // as `copytruncate` does
    log.write("cut");
    log.write("cut");
    log.close();
    assert.equal(read(path), "cut\ncut\n");
    assert.deepEqual(names(path), ["pilot.log", "pilot.log.old"]);
  });
});

Deno.test("a log that cannot be rotated or reopened continues where it is, and says so", async () => {
  await withDir((path) => {
    Deno.mkdirSync(`${path}.1`); // in the way of the rename
    const log = new LogFile({ path, maxBytes: 6, maxOldFiles: 1 });
    for (const line of ["one", "two", "three"]) log.write(line);
    assert.match(read(path), /^one\nthe log cannot be rotated: .*\ntwo\n/);
    assert.match(read(path), /three\n$/);
    log.close();
  });
  await withDir((path) => {
    const log = new LogFile({ path });
    Deno.renameSync(path, `${path}.old`);
    Deno.mkdirSync(path);
    log.reopen();
    log.write("four");
    log.close();
    assert.match(read(`${path}.old`), /the log continues here, as .*\nfour\n$/);
  });
});

Deno.test("a log file in a directory that is not there is an error with its name", async () => {
  await withDir((path) => {
    assert.throws(
      () => new LogFile({ path: join(path, "x") }),
      (error) =>
        error instanceof PilotError && error.code === "io_error" && error.message.includes(path),
    );
  });
});
