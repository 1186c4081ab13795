import assert from "node:assert/strict";
import { join } from "node:path";
import { startDaemon } from "../../daemon/main.ts";
import { configureLog, resetLog } from "../../platform/log.ts";
import {
  type DaemonFlags,
  resolveDaemonOptions,
  resolveSettings,
} from "../../platform/settings/mod.ts";

/** Starts a daemon and ends it: what it says of its registry, and what it has logged of it. */
async function warnings(
  registry: string,
  flags: DaemonFlags,
): Promise<{ told: unknown; logged: string[] }> {
  const home = await Deno.makeTempDir();
  const lines: string[] = [];
  configureLog({ level: "warn", write: (line) => lines.push(line) });
  try {
    const settings = resolveSettings({
      flags: { home, registry, beacon: "127.0.0.1:9", socket: join(home, "s") },
      env: () => undefined,
    });
    const options = resolveDaemonOptions(settings, { listen: "127.0.0.1:0", ...flags });
    await using daemon = await startDaemon({ ...options, udp: "portable" });
    const logged = lines.filter((line) => line.includes("plain TCP"));
    return { told: daemon.info().registry_warning, logged };
  } finally {
    resetLog();
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("a daemon warns once of a plain registry elsewhere, in its log and its info", async () => {
  const { told, logged } = await warnings("registry.invalid:9000", {});
  assert.match(String(told), /registry\.invalid:9000 is used over plain TCP/);
  assert.equal(logged.length, 1);
  assert.match(logged[0]!, /hint=.*pin_registry/);
});

Deno.test("a daemon does not warn of a registry here, of one that is pinned, or when it was accepted", async () => {
  const elsewhere = "registry.invalid:9000";
  const registryKey = "3ySEaMbcFF1IWe9SKRc5USXbf+QhHPcTv1kBTgGIdZ4=";
  for (
    const [registry, flags] of [
      ["127.0.0.1:9", {}],
      [elsewhere, { registryKey }],
      [elsewhere, { registryFingerprint: "ab".repeat(32) }],
      [elsewhere, { registryPlain: "accept" }],
    ] as const
  ) {
    assert.deepEqual(await warnings(registry, flags), { told: null, logged: [] });
  }
});
