/** The NATs of these tests do what they are called. Needs root. */

import assert from "node:assert/strict";
import { type Host, Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import type { Seen } from "./net/probe.ts";

const SKIP_REASON = await whyNot();
const PROBE = new URL("net/probe.ts", import.meta.url).pathname;

function probe(namespace: string, ...args: string[]): Deno.Command {
  const run = ["run", "-q", "-A", "--no-config", "--unstable-net", PROBE, ...args];
  return new Deno.Command("ip", {
    args: ["netns", "exec", namespace, Deno.execPath(), ...run],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
}

async function reflector({ namespace, address }: Host): Promise<AsyncDisposable> {
  const child = probe(namespace, "reflect", address).spawn();
  const reader = child.stdout.getReader();
  assert.ok(!(await reader.read()).done, "the reflector runs");
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
    },
  };
}

Deno.test({
  name: SKIP_REASON === ""
    ? "each kind of NAT maps and filters as its name says"
    : `kinds of NAT (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 60_000,
  async fn() {
    await using net = await Internet.create();
    const [one, two] = await net.pair("public");
    await using _one = await reflector(one);
    await using _two = await reflector(two);
    const look = async (host: Host) => {
      const { stdout } = await probe(host.namespace, "ask", one.address, two.address).output();
      const { mapped, unasked }: Seen = JSON.parse(new TextDecoder().decode(stdout));
      const [first, second] = mapped;
      const hosts = new Set(mapped.map((seen) => seen?.split(":")[0]));
      const isAnswered = first !== null && second !== null;
      if (isAnswered) assert.deepEqual([...hosts], [host.publicAddress]);
      return { isAnswered, samePort: first === second, unasked };
    };
    const open = { isAnswered: true, samePort: true, unasked: true };
    assert.deepEqual(await look(await net.host("public")), open);
    assert.deepEqual(await look(await net.host("full cone")), open);
    const restricted = { ...open, unasked: false };
    assert.deepEqual(await look(await net.host("restricted")), restricted);
    assert.deepEqual(await look(await net.host("double NAT")), restricted);
    assert.deepEqual(await look((await net.pair("same LAN"))[1]), restricted);
    assert.deepEqual(await look(await net.host("symmetric")), { ...restricted, samePort: false });
    assert.equal((await look(await net.host("blocked"))).isAnswered, false);
  },
});
