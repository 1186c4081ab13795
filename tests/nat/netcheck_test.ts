/** `netcheck` behind every kind of NAT says what the NAT is. Needs root. */

import assert from "node:assert/strict";
import { type Host, Internet } from "./net/internet.ts";
import { whyNot } from "./net/namespaces.ts";
import { Processes } from "./processes.ts";

const SKIP_REASON = await whyNot();

Deno.test({
  name: SKIP_REASON === ""
    ? "netcheck tells the kind of NAT, and that no beacon answers"
    : `netcheck behind NATs (skipped: ${SKIP_REASON})`,
  ignore: SKIP_REASON !== "",
  timeout: 60_000,
  async fn() {
    await using net = await Internet.create();
    await using processes = new Processes(net);
    await processes.startRendezvous();
    const places = ["--registry", `${net.rendezvousHost}:9000`];
    places.push("--beacon", `${net.rendezvousHost}:9001`);
    const look = async (name: string, host: Host) => {
      const args = ["netcheck", "--json", ...places];
      const child = processes.spawn(host.namespace, name, args, "piped");
      const [stdout, stderr, { code }] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.status,
      ]);
      await processes.end(child);
      const { data } = JSON.parse(code === 0 ? stdout : stderr);
      assert.ok(data.duration_ms < 5_000, `${name}: ${data.duration_ms} ms`);
      return { code, udp: data.udp, behind: data.nat.behind, mapping: data.nat.mapping };
    };
    const works = { code: 0, udp: true };
    const hidden = { ...works, behind: true };
    // One beacon has one address: that its two ports see the same is all that can be known.
    const cone = { ...hidden, mapping: "not_port_dependent" };
    const open = { ...works, behind: false, mapping: "none" };
    assert.deepEqual(await look("public", await net.host("public")), open);
    assert.deepEqual(await look("cone", await net.host("full cone")), cone);
    assert.deepEqual(await look("restricted", await net.host("restricted")), cone);
    assert.deepEqual(await look("double", await net.host("double NAT")), cone);
    const symmetric = { ...hidden, mapping: "address_and_port_dependent" };
    assert.deepEqual(await look("symmetric", await net.host("symmetric")), symmetric);
    await processes.killRendezvous();
    const blocked = { code: 14, udp: false, behind: null, mapping: "unknown" };
    assert.deepEqual(await look("alone", await net.host("public")), blocked);
  },
});
