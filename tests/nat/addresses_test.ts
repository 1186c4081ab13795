/** Hosts with several addresses, by real daemons: what is asked at one of them is answered from it. Needs root. */

import assert from "node:assert/strict";
import { eventually } from "../e2e/processes.ts";
import { type Host, Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { befriend, type Daemon, pathBetween, Processes } from "./processes.ts";

const SKIP_REASON = await whyNot();
const SECOND = "192.0.2.33";
const PORT = 4242;
const ECHO_PORT = 7;

function test(name: string, fn: (net: Internet, processes: Processes) => Promise<void>): void {
  Deno.test({
    name: SKIP_REASON === "" ? name : `${name} (skipped: ${SKIP_REASON})`,
    ignore: SKIP_REASON !== "",
    timeout: 60_000,
    async fn() {
      await using net = await Internet.create();
      await using processes = new Processes(net);
      await fn(net, processes);
    },
  });
}

/** Gives a host of the Internet a second address. */
async function addAddress(net: Internet, namespace: string, first: string): Promise<void> {
  await net.namespaces.ip(namespace, `addr add ${SECOND}/32 dev wan`);
  await net.namespaces.ip(net.router, `route add ${SECOND}/32 via ${first}`);
}

/** Bytes go there and back over a connection that is opened now. */
async function echo(from: Daemon, to: Daemon): Promise<void> {
  await using conn = await from.driver.dial(to.node, ECHO_PORT, { timeoutMs: 15_000 });
  await conn.write("hello");
  assert.equal(new TextDecoder().decode(await conn.read()), "hello");
}

test(
  "a rendezvous on all addresses serves those who know another than its first",
  async (net, processes) => {
    await addAddress(net, net.rendezvous, net.rendezvousHost);
    await processes.startRendezvous("");
    const flags = ["--registry", `${SECOND}:9000`, "--beacon", `${SECOND}:9001`];
    const [a, b] = await net.pair("symmetric");
    const [alice, bob] = await Promise.all([
      processes.daemon("alice", a, ...flags),
      processes.daemon("bob", b, ...flags),
    ]);
    for (const { name, driver } of [alice, bob]) {
      await eventually(
        `${name} proves its endpoint`,
        async () => (await driver.info()).endpoint_proven === true || undefined,
      );
    }
    await befriend(alice, bob);
    await echo(alice, bob);
    assert.equal(await pathBetween(alice, bob), "relay");
  },
);

for (const udp of ["linux", "portable"]) {
  test(
    `an agent known by its second address is reached at it, first one closed (${udp} socket)`,
    async (net, processes) => {
      await processes.startRendezvous();
      const a: Host = await net.host("restricted");
      const b: Host = await net.host("public");
      await addAddress(net, b.namespace, b.address);
      await net.namespaces.nft(
        b.namespace,
        `table ip closed { chain input {
         type filter hook input priority filter;
         ip saddr ${a.publicAddress} ip daddr ${b.address} drop
       }
      }
      `,
      );
      const flags = ["--listen", `:${PORT}`, "--endpoint", `${SECOND}:${PORT}`, "--udp", udp];
      const before = await Promise.all([
        processes.daemon("alice", a),
        processes.daemon("bob", b, ...flags),
      ]);
      await befriend(...before);
      // What both learned of each other's paths meanwhile is gone.
      await Promise.all(before.map((daemon) => daemon.stop()));
      const bob = await processes.daemon("bob", b, ...flags);
      const alice = await processes.daemon("alice", a);
      await echo(alice, bob);
      await eventually("alice goes there directly", async () => {
        const { route, endpoint } = await alice.driver.path(bob.node);
        return route === "direct" && endpoint === `${SECOND}:${PORT}` ? true : undefined;
      });
      await echo(alice, bob);
    },
  );
}
