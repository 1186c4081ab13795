import assert from "node:assert/strict";
import { connect } from "../../sdk/mod.ts";
import { withDir } from "../cli/support.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { startDaemon } from "./in_process.ts";

/** Values of the metrics by name and labels. */
async function metrics(addr: string): Promise<Map<string, number>> {
  const response = await fetch(`http://${addr}/metrics`);
  assert.equal(response.status, 200);
  const text = await response.text();
  return new Map(
    text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

async function health(addr: string): Promise<[number, Record<string, unknown>]> {
  const response = await fetch(`http://${addr}/healthz`);
  return [response.status, await response.json()];
}

Deno.test("a daemon serves health and metrics when it is asked to, and nothing otherwise", () =>
  withDir(async (dir) => {
    const rendezvous = await Rendezvous.start({
      ...{ registryAddr: "127.0.0.1:0", beaconAddr: "127.0.0.1:0", tls: "none", store: undefined },
    });
    await using a = await startDaemon(dir, "a", rendezvous, {
      ...{ http: "127.0.0.1:0", public: true, keepaliveMs: 500 },
    });
    await using b = await startDaemon(dir, "b", rendezvous, { public: true });
    assert.equal(b.info().http, null);
    const addr = String(a.info().http);
    await Promise.all([a, b].map((daemon) =>
      new Promise<void>((resolve) => {
        if (daemon.parts.registration.state === "registered") resolve();
        else {
          daemon.parts.events.subscribe(({ name }) => {
            if (name === "node.registered") resolve();
          });
        }
      })
    ));
    await using driver = await connect({ socket: a.parts.options.socket });
    await driver.ping(b.node);
    const [status, body] = await health(addr);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.status, body.node_id, body.peers], ["ok", a.node, 1]);
    const found = await metrics(addr);
    assert.equal(found.get("pilot_registered"), 1);
    assert.equal(found.get('pilot_peers{path="direct"}'), 1);
    assert.equal(found.get('pilot_events_total{event="tunnel.established"}'), 1);
    assert.equal(found.get('pilot_events_total{event="trust.revoked"}'), 0);
    assert.ok(found.get("pilot_sent_packets_total")! > 0);
    const other = await fetch(`http://${addr}/metrics`, {
      headers: { "x-forwarded-for": "1.2.3.4" },
    });
    assert.equal(other.status, 403);
    await other.body?.cancel();
    await rendezvous[Symbol.asyncDispose]();
    while ((await health(addr))[0] !== 503) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await metrics(addr)).get("pilot_registry_connected"), 0);
  }));
