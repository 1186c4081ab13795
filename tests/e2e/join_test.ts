/** From the line that a rendezvous prints to a daemon that talks TLS to it, without a flag. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Daemon } from "../../daemon/daemon.ts";
import { resolveDaemonOptions, resolveSettings } from "../../platform/settings/mod.ts";
import { runJson, withDir } from "../cli/support.ts";
import { start } from "../rendezvous/support/server.ts";
import { eventually } from "./processes.ts";

/** Starts a daemon as `daemon start` without flags does: the config file of the home says everything. */
async function daemonOf(home: string): Promise<Daemon> {
  const settings = resolveSettings({ flags: { home }, env: () => undefined });
  const options = resolveDaemonOptions(settings, { listen: "127.0.0.1:0" });
  return await Daemon.start({ ...options, udp: "portable" });
}

Deno.test("a home that has joined registers over TLS, also after restarts of the rendezvous, and nowhere else", () =>
  withDir(async (dir) => {
    const home = join(dir, "home");
    const store = join(dir, "store");
    const places = { registryAddr: "127.0.0.1:0", beaconAddr: "127.0.0.1:0" };
    const registered = async (daemon: Daemon) => {
      await eventually("it registers", () => daemon.info().registration === "registered");
      assert.equal(daemon.info().registry_tls, true);
      assert.equal(daemon.info().registry_signed, true);
      return daemon.node;
    };
    let node = 0;
    {
      await using server = await start({ ...places, store, tlsOnly: true });
      Object.assign(places, { registryAddr: server.registryAddr, beaconAddr: server.beaconAddr });
      assert.equal((await runJson(["join", server.facts.join.uri, "--home", home])).code, 0);
      await using daemon = await daemonOf(home);
      node = await registered(daemon);
    }
    {
      await using _server = await start({ ...places, store });
      await using daemon = await daemonOf(home);
      assert.equal(await registered(daemon), node);
    }
    await using _impostor = await start(places); // with keys of its own
    await using daemon = await daemonOf(home);
    await eventually("it is refused", () => daemon.info().registration === "retrying");
    assert.match(String(daemon.info().registration_error), /another certificate/);
  }));
