/** What a daemon is told about its registry besides the address. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { parseFingerprint } from "../../../platform/fingerprint.ts";
import {
  type DaemonFlags,
  resolveDaemonOptions,
  resolveSettings,
} from "../../../platform/settings/mod.ts";

const HEX = "0123456789abcdef".repeat(4);

async function resolved(
  flags: DaemonFlags,
  config: Record<string, unknown> = {},
): Promise<unknown[]> {
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
    const settings = resolveSettings({ flags: { home }, env: () => undefined });
    const { registryTls, registryFingerprint, registryKey } = resolveDaemonOptions(settings, flags);
    return [registryTls, registryFingerprint, registryKey];
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("resolveDaemonOptions asks for a fingerprint with TLS, and takes one as TLS", async () => {
  assert.deepEqual(await resolved({}), [false, undefined, undefined]);
  assert.deepEqual(await resolved({ registryFingerprint: HEX }), [true, HEX, undefined]);
  assert.deepEqual(await resolved({}, { registry_fingerprint: HEX }), [true, HEX, undefined]);
  assert.deepEqual(
    await resolved({ registryTls: false }, { registry_fingerprint: HEX }),
    [false, HEX, undefined],
  );
  const alone: [DaemonFlags, object][] = [[{ registryTls: true }, {}], [{}, {
    registry_tls: true,
  }]];
  for (const [flags, config] of alone) {
    await assert.rejects(resolved(flags, { ...config }), {
      code: "invalid_argument",
      advice: { id: "add_fingerprint" },
    });
  }
  await assert.rejects(resolved({ registryFingerprint: "abc" }), { code: "invalid_argument" });
});

Deno.test("resolveDaemonOptions prefers the key given to that of the config", async () => {
  const config = { registry_key: "config" };
  assert.equal((await resolved({}, config))[2], "config");
  assert.equal((await resolved({ registryKey: "flag" }, config))[2], "flag");
});

Deno.test("resolveDaemonOptions takes registry_plain from flag, environment, config, in this order", async () => {
  const plain = async (flags: DaemonFlags, config: Record<string, unknown>, variable?: string) => {
    const home = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
      const settings = resolveSettings({
        flags: { home },
        env: (name) => name === "PILOT_REGISTRY_PLAIN" ? variable : undefined,
      });
      return resolveDaemonOptions(settings, flags).registryPlain;
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  };
  const accepted = { registry_plain: "accept" };
  assert.equal(await plain({}, {}), "warn");
  assert.equal(await plain({}, accepted), "accept");
  assert.equal(await plain({ registryPlain: "warn" }, accepted), "warn");
  await assert.rejects(plain({}, { registry_plain: "yes" }), {
    code: "invalid_argument",
    message: /"registry_plain" must be warn or accept/,
  });
  assert.equal(await plain({}, accepted, "warn"), "warn");
  assert.equal(await plain({ registryPlain: "accept" }, {}, "warn"), "accept");
  await assert.rejects(plain({}, {}, "maybe"), { message: /PILOT_REGISTRY_PLAIN is "maybe"/ });
});

Deno.test("parseFingerprint takes what other programs print", () => {
  const colons = HEX.toUpperCase().match(/../g)!.join(":");
  assert.equal(parseFingerprint(colons), HEX);
  for (const text of ["", HEX.slice(1), `${HEX}0`, HEX.replace("0", "g"), `sha256:${HEX}`]) {
    assert.throws(() => parseFingerprint(text), { code: "invalid_argument" });
  }
});
