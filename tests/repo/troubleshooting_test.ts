import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HOME_CHECKS } from "../../cli/doctor/home_checks.ts";
import { DAEMON_CHECKS } from "../../cli/doctor/daemon_checks.ts";
import { NETWORK_CHECKS } from "../../cli/doctor/network_checks.ts";
import { consoleSteps, installIn, shapeOf, Shell } from "./console.ts";
import { ROOT } from "./sources.ts";

const text = readFileSync(join(ROOT, "docs/TROUBLESHOOTING.md"), "utf8");

/** These depend on the machine: its addresses, and whether its socket can find the MTU. */
const OF_THE_MACHINE = /^(?:IPv[46]|MTU): /;

Deno.test({
  name: "docs/TROUBLESHOOTING.md shows what netcheck and doctor print",
  ignore: Deno.build.os === "windows",
  timeout: 60_000,
  async fn() {
    const home = await Deno.makeTempDir({ prefix: "trouble-" });
    try {
      await using shell = new Shell(ROOT, installIn(home));
      for (const { command, output } of consoleSteps(text)) {
        const isRendezvous = command.startsWith("pilotctl rendezvous");
        // Another test may have the usual ports.
        const typed = isRendezvous
          ? command.replace(" &", " --registry-addr 127.0.0.1:0 --beacon-addr 127.0.0.1:0 &")
          : command;
        const result = await shell.run(typed, output.length);
        const shape = (lines: readonly string[]) =>
          lines.filter((line) => !OF_THE_MACHINE.test(line)).map((line) => shapeOf(line, home));
        assert.deepEqual(shape(result.output), shape(output), command);
        if (!isRendezvous) continue;
        const [, registry, beacon] = result.output[0]!.match(/registry (\S+), beacon (\S+),/)!;
        await shell.run(`export PILOT_REGISTRY=${registry} PILOT_BEACON=${beacon}`);
      }
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});

Deno.test("docs/TROUBLESHOOTING.md lists every check of doctor, in order", () => {
  const [, table] = text.split("| `id` ");
  const listed = [...table!.matchAll(/^\| `(\w+)` /gm)].map(([, id]) => id);
  const checks = [...HOME_CHECKS, ...DAEMON_CHECKS, ...NETWORK_CHECKS];
  assert.deepEqual(listed, checks.map(({ id }) => id));
  assert.equal(new Set(listed).size, listed.length);
});
