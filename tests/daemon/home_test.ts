import assert from "node:assert/strict";
import { join } from "node:path";
import { openHome } from "../../daemon/home.ts";
import { runDaemon, startDaemon } from "../../daemon/main.ts";
import { resolveDaemonOptions, resolveSettings } from "../../platform/settings/mod.ts";

const POSIX = { ignore: Deno.build.os === "windows" };
/** Only root can give files away. */
const ROOT = { ignore: Deno.build.os === "windows" || Deno.uid() !== 0 };
const STRANGER = 54_321;

async function withHome(body: (home: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(join(dir, "home"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);

Deno.test(
  "a daemon does not start in a home that others may write, and leaves nothing there",
  POSIX,
  () =>
    withHome(async (home) => {
      await Deno.mkdir(home);
      await Deno.chmod(home, 0o777);
      const flags = { home, registry: "127.0.0.1:1", beacon: "127.0.0.1:1" };
      const settings = resolveSettings({ flags, env: () => undefined });
      const options = resolveDaemonOptions(settings, { listen: "127.0.0.1:0" });
      const refused = {
        code: "denied",
        message: `Home directory ${home} is writable by other users (mode 777)`,
        hint: `Run: chmod go-w ${home}`,
      };
      await assert.rejects(startDaemon({ ...options, udp: "portable" }), refused);
      await assert.rejects(runDaemon({ ...options, udp: "portable", logLevel: "error" }), refused);
      assert.deepEqual(namesIn(home), []);
    }),
);

Deno.test(
  "openHome makes a private home, and refuses mailboxes and places of keys that others may write",
  POSIX,
  () =>
    withHome(async (home) => {
      const identity = join(home, "identity.json");
      await openHome({ home, identity });
      assert.equal((await Deno.stat(home)).mode! & 0o777, 0o700);
      for (const name of ["inbox", "received"]) {
        const path = join(home, name);
        await Deno.mkdir(path);
        await Deno.chmod(path, 0o770);
        await assert.rejects(openHome({ home, identity }), {
          code: "denied",
          message: new RegExp(`${path} is writable by other users`),
        });
        await Deno.chmod(path, 0o700);
      }
      const keys = join(home, "keys");
      await Deno.mkdir(keys);
      await Deno.chmod(keys, 0o777);
      await assert.rejects(openHome({ home, identity: join(keys, "id.json") }), {
        code: "denied",
        message: /^Directory of the identity /,
      });
      // As secrets are mounted.
      await Deno.chmod(keys, 0o1777);
      await openHome({ home, identity: join(keys, "id.json") });
    }),
);

Deno.test(
  "openHome refuses an inbox that is another user's link, also for root, which may use another's home",
  ROOT,
  () =>
    withHome(async (home) => {
      const identity = join(home, "identity.json");
      await openHome({ home, identity });
      const elsewhere = await Deno.makeTempDir();
      try {
        await Deno.symlink(elsewhere, join(home, "inbox"));
        assert.deepEqual(await openHome({ home, identity }), { foreignOwner: undefined });
        const chown = ["-h", `${STRANGER}`, join(home, "inbox")];
        assert.ok((await new Deno.Command("chown", { args: chown }).output()).success);
        await assert.rejects(openHome({ home, identity }), {
          code: "denied",
          message: `The symbolic link ${
            join(home, "inbox")
          } belongs to another user (uid ${STRANGER})`,
        });
        await Deno.chown(home, STRANGER, STRANGER);
        assert.deepEqual(await openHome({ home, identity }), { foreignOwner: STRANGER });
      } finally {
        await Deno.remove(elsewhere, { recursive: true });
      }
    }),
);
