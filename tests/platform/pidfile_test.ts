import assert from "node:assert/strict";
import { join } from "node:path";
import { acquirePidFile, readPidFile, removePidFile } from "../../platform/pidfile.ts";
import { PilotError } from "../../protocol/errors.ts";

const MODULE = new URL("../../platform/pidfile.ts", import.meta.url).href;

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Another process that holds the pid file until it is killed. */
async function startHolder(path: string): Promise<{ pid: number; kill(): Promise<void> }> {
  const script = `import { acquirePidFile } from ${JSON.stringify(MODULE)};
    await acquirePidFile(${JSON.stringify(path)});
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", script],
    stdout: "piped",
    stdin: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /held/);
  return {
    pid: child.pid,
    kill: async () => {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}

Deno.test("acquirePidFile writes the pid, refuses a second holder and removes the file", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "home", "pilot.pid");
    assert.equal(await readPidFile(path), undefined);
    {
      await using held = await acquirePidFile(path);
      assert.equal(held.path, path);
      assert.equal(await Deno.readTextFile(path), `${Deno.pid}\n`);
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
      assert.equal(await readPidFile(path), Deno.pid);
      assert.equal(await removePidFile(path), false);
      await assert.rejects(
        acquirePidFile(path),
        (error) =>
          error instanceof PilotError && error.code === "already_exists" &&
          error.message.includes(String(Deno.pid)),
      );
    }
    assert.equal(await readPidFile(path), undefined);
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("acquirePidFile takes over a file whose number belongs to another living process", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "pilot.pid");
    await Deno.writeTextFile(path, `${Deno.ppid}\n`);
    assert.equal(await readPidFile(path), undefined);
    await using _held = await acquirePidFile(path);
    assert.equal(await readPidFile(path), Deno.pid);
  });
});

Deno.test("readPidFile sees another process, and a stale file once it was killed", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "pilot.pid");
    const holder = await startHolder(path);
    assert.equal(await readPidFile(path), holder.pid);
    await assert.rejects(acquirePidFile(path), PilotError);
    await holder.kill();
    assert.equal(await Deno.readTextFile(path), `${holder.pid}\n`);
    assert.equal(await readPidFile(path), undefined);
    assert.equal(await removePidFile(path), true);
    assert.equal(await removePidFile(path), true);
  });
});

Deno.test("acquirePidFile lets exactly one of many win", async () => {
  await withDir(async (dir) => {
    const path = join(dir, "pilot.pid");
    await Deno.writeTextFile(path, "1\n");
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquirePidFile(path)));
    const won = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
    assert.equal(won.length, 1);
    await won[0]!.remove();
    await won[0]!.remove();
  });
});
