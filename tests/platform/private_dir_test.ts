import assert from "node:assert/strict";
import { join } from "node:path";
import { checkPrivateDir } from "../../platform/private_dir.ts";

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const POSIX = { ignore: Deno.build.os === "windows" };
/** Only root can give files away. */
const ROOT = { ignore: Deno.build.os === "windows" || Deno.uid() !== 0 };
const STRANGER = 54_321;
const what = "Inbox";

Deno.test(
  "checkPrivateDir refuses what group or others may write, and says how to close it",
  POSIX,
  async () => {
    await withDir(async (dir) => {
      const path = join(dir, "inbox");
      await Deno.mkdir(path);
      for (const mode of [0o720, 0o702, 0o777]) {
        await Deno.chmod(path, mode);
        await assert.rejects(checkPrivateDir({ what, path }), {
          code: "denied",
          message: `Inbox ${path} is writable by other users (mode ${mode.toString(8)})`,
          hint: `Run: chmod go-w ${path}`,
        });
      }
      for (const mode of [0o700, 0o755, 0o750]) {
        await Deno.chmod(path, mode);
        assert.equal(await checkPrivateDir({ what, path }), Deno.uid());
      }
      assert.equal(await checkPrivateDir({ what, path: join(dir, "none") }), undefined);
    });
  },
);

Deno.test(
  "checkPrivateDir takes a shared directory with a sticky bit only where asked to",
  POSIX,
  async () => {
    await withDir(async (dir) => {
      const path = join(dir, "tmp");
      await Deno.mkdir(path);
      await Deno.chmod(path, 0o1777);
      await assert.rejects(checkPrivateDir({ what, path }), {
        code: "denied",
        hint: `Use a directory of your own in it: ${path}/pilot`,
      });
      await checkPrivateDir({ what, path, allowSticky: true });
      // A private one within is what the hint proposes.
      await Deno.mkdir(join(path, "pilot"), { mode: 0o700 });
      await checkPrivateDir({ what, path: join(path, "pilot") });
    });
  },
);

Deno.test(
  "checkPrivateDir follows our own symbolic link and looks at both ends",
  POSIX,
  async () => {
    await withDir(async (dir) => {
      const [path, target] = [join(dir, "link"), join(dir, "target")];
      await Deno.mkdir(target, { mode: 0o700 });
      await Deno.symlink(target, path);
      assert.equal(await checkPrivateDir({ what, path }), Deno.uid());
      await Deno.chmod(target, 0o777);
      await assert.rejects(checkPrivateDir({ what, path }), { code: "denied" });
    });
  },
);

Deno.test(
  "checkPrivateDir refuses another user's directories and links, but lets root use another user's home",
  ROOT,
  async () => {
    await withDir(async (dir) => {
      const home = join(dir, "home");
      await Deno.mkdir(home, { mode: 0o700 });
      await Deno.chown(home, STRANGER, STRANGER);
      // A volume of the host's user in a container that runs as root.
      assert.equal(await checkPrivateDir({ what, path: home }), STRANGER);
      const inbox = join(home, "inbox");
      await Deno.mkdir(inbox, { mode: 0o700 });
      await Deno.chown(inbox, STRANGER, STRANGER);
      assert.equal(await checkPrivateDir({ what, path: inbox }, STRANGER), STRANGER);
      await assert.rejects(checkPrivateDir({ what, path: inbox }, 0), {
        code: "denied",
        message: `Inbox ${inbox} belongs to another user (uid ${STRANGER})`,
        hint: `Use a directory of your own, or: chown 0 ${inbox}`,
      });
      const link = join(dir, "link");
      await Deno.mkdir(join(dir, "ours"), { mode: 0o700 });
      await Deno.symlink(join(dir, "ours"), link);
      await new Deno.Command("chown", { args: ["-h", `${STRANGER}`, link] }).output();
      await assert.rejects(checkPrivateDir({ what, path: link }), {
        code: "denied",
        message: `The symbolic link ${link} belongs to another user (uid ${STRANGER})`,
      });
    });
  },
);
