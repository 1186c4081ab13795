/**
 * `deno task test:forms`: the end-to-end tests with every form of socket and cipher, so that those which a machine does
 * not choose automatically work as well. Where one is not to be had (another system, no libcrypto), it says so.
 *
 * @module
 */

import { AEAD_KINDS, UDP_KINDS } from "../platform/settings/mod.ts";

const ROOT = new URL("..", import.meta.url);
const TESTS = [
  "tests/e2e/two_agents_test.ts",
  "tests/e2e/outage_test.ts",
  "tests/e2e/push_test.ts",
];

/** Runs the tests with one form of each; its output, or undefined when they passed. */
async function failureOf(udp: string, aead: string): Promise<string | undefined> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-q", "-P=test", "--no-check", "--parallel", ...TESTS],
    cwd: ROOT,
    env: { PILOT_UDP: udp, PILOT_AEAD: aead },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return success ? undefined : text.decode(stdout) + text.decode(stderr);
}

const isLinux = Deno.build.os === "linux";
let failures = 0;
for (const udp of UDP_KINDS.filter((kind) => kind !== "auto")) {
  for (const aead of AEAD_KINDS.filter((kind) => kind !== "auto")) {
    const name = `${udp} socket, AES-GCM of ${aead}`;
    if (!isLinux && (udp === "linux" || aead === "libcrypto")) {
      console.log(`skipped ${name}: needs Linux`);
      continue;
    }
    const started = performance.now();
    const output = await failureOf(udp, aead);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(`${output === undefined ? "ok     " : "FAILED "} ${name} (${seconds} s)`);
    if (output === undefined) continue;
    failures++;
    console.log(output.trimEnd());
  }
}
Deno.exit(failures === 0 ? 0 : 1);
