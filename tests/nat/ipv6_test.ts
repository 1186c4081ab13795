/** Paths over IPv6 between hosts behind stateful firewalls, by real daemons. Needs root. */

import assert from "node:assert/strict";
import { type Host, Internet } from "./net/internet.ts";
import { Ipv6, whyNotIpv6 } from "./net/ipv6.ts";
import { whyNot } from "./net/namespaces.ts";
import { ask, reflector } from "./net/probes.ts";
import { befriend, type Daemon, directWithin, pathBetween, Processes } from "./processes.ts";
import { Transfer } from "./transfer.ts";

const SKIP_REASON = await whyNot() || whyNotIpv6();
const TRANSFER_BYTES = 1_000_000;
const DIRECT_MS = 15_000;
const ECHO_PORT = 7;

/** A pair has a direct path soon, both ends see the other's own IPv6 address, and bytes go through whole. */
async function meet(
  name: string,
  [a, addressA]: readonly [Daemon, string],
  [b, addressB]: readonly [Daemon, string],
): Promise<void> {
  await using conn = await a.driver.dial(b.node, ECHO_PORT, { timeoutMs: 15_000 });
  await conn.write("hello");
  assert.equal(new TextDecoder().decode(await conn.read()), "hello");
  const directMs = await directWithin(a, b, { timeoutMs: DIRECT_MS });
  assert.ok(directMs !== undefined, `${name}: not direct, but ${await pathBetween(a, b)}`);
  console.log(`${name}: direct ${Math.round(directMs)} ms after the first byte`);
  for (const [from, to, address] of [[a, b, addressB], [b, a, addressA]] as const) {
    const { route, endpoint } = await from.driver.path(to.node);
    assert.equal(route, "direct", name);
    assert.ok(endpoint.startsWith(`[${address}]:`), `${name}: ${endpoint}, not ${address}`);
  }
  await using transfer = await Transfer.start(a, b, TRANSFER_BYTES);
  assert.equal(await transfer.failure(), undefined, name);
}

Deno.test({
  name: SKIP_REASON === ""
    ? "hosts behind IPv6 firewalls meet directly, one without IPv4 and one with both as well"
    : `IPv6 behind firewalls (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 60_000,
  async fn() {
    await using net = await Internet.create();
    const ipv6 = await Ipv6.on(net);
    const hosts: Host[] = [];
    const addresses: string[] = [];
    for (const alone of [true, true, false]) {
      const host = await net.host("restricted");
      addresses.push(await ipv6.give(host, { alone }));
      hosts.push(host);
    }
    await ipv6.settled(hosts);

    // The firewalls do what they are called.
    {
      await using _reflector = await reflector(net.rendezvous, ipv6.rendezvousHost);
      for (const [i, { namespace }] of hosts.entries()) {
        const { mapped, unasked } = await ask(namespace, ipv6.rendezvousHost);
        assert.ok(mapped[0]?.startsWith(`${addresses[i]}:`), `${mapped[0]}: no NAT`);
        assert.equal(unasked, false);
      }
    }

    await using processes = new Processes(net);
    await processes.startRendezvous("");
    const over6 = ["--registry", `[${ipv6.rendezvousHost}]:9000`];
    over6.push("--beacon", `[${ipv6.rendezvousHost}]:9001`);
    const [alice, bob, carol] = await Promise.all([
      processes.daemon("alice", hosts[0]!, ...over6),
      processes.daemon("bob", hosts[1]!, ...over6),
      // Knows the rendezvous by IPv4 only, as most do.
      processes.daemon("carol", hosts[2]!),
    ]);
    const [a, b, c] = [[alice, addresses[0]!], [bob, addresses[1]!], [
      carol,
      addresses[2]!,
    ]] as const;
    await befriend(alice, bob);
    await befriend(alice, carol);
    await meet("IPv6 > IPv6", a, b);
    await meet("IPv6 > both", a, c);
  },
});
