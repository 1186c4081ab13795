/** `netcheck` and `doctor` with real processes: all well, then everything broken, then one server alone. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { cliArgs, eventually, World } from "./processes.ts";

interface Check {
  id: string;
  status: string;
  detail: string;
  fix?: string;
}

Deno.test({
  name: "netcheck and doctor distinguish a healthy installation from a broken one",
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

/** What a person reads who asks without `--json`. */
async function read(world: World, name: string, command: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: cliArgs(command),
    env: world.env(name),
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** The check of this title as `doctor` prints it, with its advice. */
function paragraph(text: string, title: string): string {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => line.slice(6).startsWith(`${title}:`));
  assert.ok(from >= 0, `${title} in:\n${text}`);
  return lines.slice(from, lines[from + 1]?.includes("fix:") ? from + 2 : from + 1).join("\n");
}

/** Registry and beacon apart, each in a server of its own, a running daemon, and then one server less. */
function withoutOne(
  down: "registry" | "beacon",
  look: (world: World) => Promise<void>,
): void {
  Deno.test({
    name: `netcheck and doctor name the ${down} when it alone is down, why, and what to do`,
    ignore: Deno.build.os === "windows",
    timeout: 120_000,
    async fn() {
      // The process is the one that goes, as by a crash.
      await using world = await World.create();
      await using other = await Rendezvous.start({
        registryAddr: "127.0.0.1:0",
        beaconAddr: "127.0.0.1:0",
        store: undefined,
      });
      if (down === "registry") world.beacon = other.beaconAddr;
      else world.registry = other.registryAddr;
      await using _alice = await world.daemon("alice");
      const before = await world.cli("alice", "netcheck");
      assert.deepEqual([before.code, before.data.registry.reachable, before.data.udp], [
        0,
        true,
        true,
      ]);
      await world.stopRendezvous("SIGKILL");
      await look(world);
    },
  });
}

withoutOne("registry", async (world) => {
  const netcheck = await read(world, "alice", "netcheck");
  assert.equal(netcheck.code, 0, "what it is asked for, the network, works");
  assert.match(netcheck.stdout, /^UDP: +works$/m);
  const fault = /^Registry: +Registry is not reachable: (\S+): Connection refused\b/m;
  assert.equal(netcheck.stdout.match(fault)?.[1], world.registry);
  assert.match(netcheck.stdout, new RegExp(`^Beacon: +${world.beacon}, min `, "m"));
  assert.match(netcheck.stdout, /^Next step: +Check that the rendezvous runs and that --registry/m);
  assert.equal(netcheck.stderr, "");
  const { data } = await world.cli("alice", "netcheck");
  assert.equal(data.registry.address, world.registry);
  assert.equal(data.registry.error_code, "unavailable");
  assert.equal(data.beacon.error, null);

  const doctor = await read(world, "alice", "doctor");
  assert.equal(doctor.code, 1);
  const check = paragraph(doctor.stdout, "Registry");
  assert.match(check, /^FAIL .*Connection refused/);
  assert.ok(check.includes(world.registry), check);
  assert.match(check, /fix: Check that the rendezvous runs and that --registry, PILOT_REGISTRY or/);
  assert.match(paragraph(doctor.stdout, "NAT"), /^ok /);
  assert.match(paragraph(doctor.stdout, "Clock"), /^- .*the registry does not answer/);
  assert.doesNotMatch(paragraph(doctor.stdout, "Beacon over UDP"), /^FAIL/);
  assert.match(paragraph(doctor.stdout, "Daemon"), /^ok /);
});

withoutOne("beacon", async (world) => {
  const netcheck = await read(world, "alice", "netcheck");
  assert.equal(netcheck.code, 14);
  assert.match(netcheck.stdout, /^UDP: +does not reach the beacon$/m);
  assert.match(netcheck.stdout, new RegExp(`^Registry: +${world.registry}, TCP`, "m"));
  assert.match(netcheck.stdout, new RegExp(`^Beacon: +${world.beacon} does not answer`, "m"));
  const [error, hint] = netcheck.stderr.split("\n");
  assert.match(error!, new RegExp(`${world.beacon}: \\d datagrams, no answer$`));
  assert.match(hint!, /Check that the beacon runs there, that firewalls let UDP/);
  // Once is enough.
  assert.doesNotMatch(netcheck.stdout, /Next step/);

  const doctor = await read(world, "alice", "doctor");
  assert.equal(doctor.code, 1);
  const check = paragraph(doctor.stdout, "Beacon over UDP");
  assert.match(check, new RegExp(`^FAIL .*${world.beacon}: \\d datagrams, no answer`));
  assert.match(check, /fix: .*Check that the beacon runs there, that firewalls let UDP/);
  assert.match(paragraph(doctor.stdout, "Registry"), /^ok /);
  assert.match(paragraph(doctor.stdout, "Clock"), /^ok /);
  assert.match(paragraph(doctor.stdout, "NAT"), /^- .*the beacon does not answer/);
  assert.equal(doctor.stdout.match(/^FAIL/gm)?.length, 1, doctor.stdout);
});
