/** `netcheck` and `doctor` with real processes: all well, then everything broken. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { eventually, World } from "./processes.ts";

interface Check {
  id: string;
  status: string;
  detail: string;
}

Deno.test({
  name: "netcheck and doctor tell a healthy installation from a broken one",
  ignore: Deno.build.os === "windows",
  timeout: 120_000,
  async fn() {
    await using world = await World.create();
    await using alice = await world.daemon("alice");

    const healthy = await eventually("the endpoint is proven", async () => {
      const result = await world.cli("alice", "netcheck");
      assert.equal(result.code, 0, result.stderr);
      return result.data.daemon?.endpoint_proven === true ? result.data : undefined;
    });
    assert.equal(healthy.udp, true);
    assert.equal(healthy.registry.reachable, true);
    assert.ok(Math.abs(healthy.registry.skew_ms) < 60_000);
    assert.equal(healthy.nat.behind, false);
    assert.equal(healthy.nat.mapping, "none");
    assert.equal(healthy.ipv4.beacon, world.beacon);
    assert.equal(healthy.daemon.registration, "registered");
    assert.match(healthy.daemon.endpoint, /^127\.0\.0\.1:\d+$/);

    const diagnose = async () => {
      const { code, stdout, stderr } = await world.cli("alice", "doctor");
      const { data } = JSON.parse(stdout || stderr);
      const checks = data.checks as Check[];
      return { code, of: (id: string) => checks.find((check) => check.id === id)!, checks };
    };
    const well = await diagnose();
    assert.deepEqual(well.checks.filter(({ status }) => status === "fail"), []);
    assert.equal(well.code, 0);
    assert.equal(well.of("daemon").status, "ok");
    assert.equal(well.of("pid_file").status, "ok");
    assert.equal(well.of("udp").status, "ok");

    await alice.kill("SIGKILL");
    await world.stopRendezvous();
    await Deno.chmod(alice.home, 0o755);
    await Deno.chmod(join(alice.home, "identity.json"), 0o640);

    const blocked = await world.cli("alice", "netcheck");
    assert.equal(blocked.code, 14);
    const error = JSON.parse(blocked.stderr);
    assert.equal(error.code, "unavailable");
    assert.equal(error.data.udp, false);
    assert.equal(error.data.registry.reachable, false);
    assert.equal(error.data.daemon, null);

    const broken = await diagnose();
    assert.equal(broken.code, 1);
    const states = Object.fromEntries(broken.checks.map(({ id, status }) => [id, status]));
    const { home, identity, daemon, pid_file, registry, udp } = states;
    assert.deepEqual({ home, identity, daemon, pid_file, registry, udp }, {
      home: "warn",
      identity: "fail",
      daemon: "fail",
      pid_file: "warn",
      registry: "fail",
      udp: "fail",
    });
    assert.match(broken.of("pid_file").detail, /stale/);
  },
});
