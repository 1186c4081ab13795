/** The NATs of these tests do what they are called. Needs root. */

import assert from "node:assert/strict";
import { type Host, Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { ask, reflector } from "./net/probes.ts";

const SKIP_REASON = await whyNot();

Deno.test({
  name: SKIP_REASON === ""
    ? "each kind of NAT maps and filters as its name says"
    : `kinds of NAT (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 60_000,
  async fn() {
    await using net = await Internet.create();
    const [one, two] = await net.pair("public");
    await using _one = await reflector(one.namespace, one.address);
    await using _two = await reflector(two.namespace, two.address);
    const look = async (host: Host) => {
      const { mapped, unasked } = await ask(host.namespace, one.address, two.address);
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
