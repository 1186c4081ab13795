import assert from "node:assert/strict";
import { join } from "node:path";
import type { Patient } from "../../cli/doctor/doctor_check.ts";
import { NETWORK_CHECKS } from "../../cli/doctor/network_checks.ts";
import { acquirePidFile } from "../../platform/pidfile.ts";
import { VERSION } from "../../platform/version.ts";
import { Identity } from "../../protocol/crypto/identity.ts";
import type { Rendezvous } from "../../rendezvous/mod.ts";
import { RegistryServer } from "../daemon/harness/registry_server.ts";
import { start } from "../rendezvous/support/server.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { run, runJson, type RunOptions, withDir } from "./support.ts";

// cspell:ignore regsitry

interface Found {
  id: string;
  status: string;
  detail: string;
  fix?: string;
}

/** What `doctor` found, by check. */
interface Report {
  code: number;
  status: Record<string, string>;
  detail: Record<string, string>;
}

async function doctor(home: string, server: Rendezvous, options: RunOptions): Promise<Report> {
  const places = ["--registry", server.registryAddr, "--beacon", server.beaconAddr];
  const { code, data } = await runJson(["doctor", "--home", home, ...places], options);
  const { checks, failed, healthy } = data as { checks: Found[]; failed: number; healthy: boolean };
  assert.equal(healthy, failed === 0);
  assert.equal(code, healthy ? 0 : 1);
  for (const { id, status, fix } of checks) {
    const needsFix = status === "warn" || status === "fail";
    assert.equal(fix !== undefined, needsFix, `${id} is ${status}`);
  }
  return {
    code,
    status: Object.fromEntries(checks.map(({ id, status }) => [id, status])),
    detail: Object.fromEntries(checks.map(({ id, detail }) => [id, detail])),
  };
}

/** A daemon as far as `doctor` asks it. */
function daemon(server: Rendezvous, extra: Record<string, unknown> = {}): RunOptions {
  const info = () =>
    Promise.resolve({
      pid: Deno.pid,
      node_id: 0,
      address: "0:0000.0000.0007",
      version: VERSION,
      registration: "registered",
      registry: server.registryAddr,
      endpoint_proven: true,
      identity_clash: null,
      socket_kind: "linux",
      peer_list: [],
      ...extra,
    });
  const path = (node: number) =>
    Promise.resolve({ reason: node === 8 ? "No direct address answers" : "" });
  return { driver: { info, path } as never };
}

/** A home as a daemon leaves it. */
async function withHome(body: (home: string, identity: Identity) => Promise<void>): Promise<void> {
  await withDir(async (dir) => {
    await Deno.chmod(dir, 0o700);
    const identity = await Identity.generate();
    await Deno.writeTextFile(join(dir, "identity.json"), identity.toFile(), { mode: 0o600 });
    await body(dir, identity);
  });
}

const POSIX = { ignore: Deno.build.os === "windows" };

Deno.test("doctor finds nothing wrong with a healthy home", () =>
  withHome(async (home, identity) => {
    await using server = await start();
    await using _pid = await acquirePidFile(join(home, "pilot.pid"));
    const options = daemon(server, { public_key: identity.publicKeyBase64 });
    const { code, status } = await doctor(home, server, options);
    assert.equal(code, 0);
    const bad = Object.entries(status).filter(([, s]) => s !== "ok" && s !== "skip");
    assert.deepEqual(bad, []);
    assert.deepEqual(Object.entries(status).filter(([, s]) => s === "skip").map(([id]) => id), [
      "log",
      "common_socket",
      "events",
      "key_expiry",
    ]);
  }));

Deno.test("doctor names every fault of a broken home", POSIX, () =>
  withHome(async (home) => {
    await using server = await start();
    await Deno.chmod(home, 0o777);
    await Deno.chmod(join(home, "identity.json"), 0o644);
    await Deno.writeTextFile(join(home, "pilot.pid"), "4711\n");
    await Deno.writeTextFile(join(home, "config.json"), '{"regsitry":"127.0.0.1:1"}');
    const at = new Date().toISOString();
    const old = new Date(Date.now() - 3 * 86_400_000).toISOString();
    const log = [
      `time=${old} level=error msg=ancient`,
      `time=${at} level=error msg=recent`,
      `time=${at} level=info msg=fine`,
    ];
    await Deno.writeTextFile(join(home, "pilot.log"), log.join("\n"));
    const { status, detail } = await doctor(home, server, {});
    assert.equal(status.home, "fail");
    assert.match(detail.home!, /is writable by other users.*777/);
    assert.equal(status.identity, "fail");
    assert.match(detail.identity!, /mode 644/);
    assert.equal(status.config, "warn");
    assert.match(detail.config!, /regsitry/);
    assert.equal(status.log, "warn");
    assert.match(detail.log!, /^1 errors.*recent/);
    assert.equal(status.daemon, "fail");
    assert.equal(status.pid_file, "warn");
    assert.match(detail.pid_file!, /stale/);
    assert.equal(status.version, "skip");
    assert.equal(status.registry, "ok");
  }));

Deno.test("doctor looks at the rest when the config file cannot be used", () =>
  withHome(async (home) => {
    await using server = await start();
    await Deno.writeTextFile(join(home, "config.json"), "not JSON");
    const { status, detail } = await doctor(home, server, daemon(server));
    assert.equal(status.config, "fail");
    assert.match(detail.config!, /is not JSON/);
    assert.equal(status.identity, "ok");
    assert.equal(status.daemon, "ok");
    assert.equal(status.registry, "skip");
    assert.equal(detail.clock, detail.registry); // it was not asked, so it did not fail to tell
  }));

Deno.test("doctor says where a daemon tries to register when the settings say otherwise", () =>
  withHome(async (home) => {
    await using server = await start();
    const options = daemon(server, { registration: "retrying", registry: "192.0.2.1:9000" });
    const places = ["--registry", server.registryAddr, "--beacon", server.beaconAddr];
    const { data } = await runJson(["doctor", "--home", home, ...places], options);
    const { checks } = data as { checks: Found[] };
    const found = checks.find(({ id }) => id === "registration");
    assert.equal(found?.status, "fail");
    assert.match(found.fix!, /tries 192\.0\.2\.1:9000, the settings say 127/);
  }));

Deno.test("doctor reports what is wrong with a running daemon", () =>
  withHome(async (home) => {
    await using server = await start();
    const other = await Identity.generate();
    const peer = (node_id: number, relay: boolean) => ({ node_id, relay });
    const { status, detail } = await doctor(
      home,
      server,
      daemon(server, {
        version: "0.0.1",
        public_key: other.publicKeyBase64,
        registration: "retrying",
        registration_error: "hostname taken",
        endpoint_proven: false,
        socket_kind: "portable",
        peer_list: [peer(8, true), peer(9, false), peer(10, true)],
      }),
    );
    assert.match(detail.version!, /0\.0\.1/);
    assert.equal(status.version, "warn");
    assert.equal(status.identity, "warn");
    assert.equal(status.registration, "fail");
    assert.match(detail.registration!, /hostname taken/);
    assert.equal(status.peers, "warn");
    assert.match(detail.peers!, /^2 of 3 .*No direct address answers \(1\); direct by now \(1\)/);
    if (Deno.build.os === "linux") assert.equal(status.udp_socket, "warn");
  }));

Deno.test("doctor fails when another process uses the identity", () =>
  withHome(async (home) => {
    await using server = await start();
    const reason = "another process uses this identity at 192.0.2.7 since 2026-01-02T03:04:05Z";
    const clash = { addr: "192.0.2.7", since: 1_767_323_045 };
    const options = daemon(server, { identity_clash: clash });
    const { code, status, detail } = await doctor(home, server, options);
    assert.deepEqual([code, status.identity_clash, detail.identity_clash], [1, "fail", reason]);
  }));

Deno.test("doctor compares the clock with the registry's", () =>
  withHome(async (home) => {
    await using server = await start({ clock: new ManualClock() }); // it stands still in the past
    const { status, detail } = await doctor(home, server, daemon(server));
    assert.equal(status.clock, "fail");
    assert.match(detail.clock!, /ahead of the registry's: handshakes are refused/);
  }));

Deno.test("doctor shows a registry that is not the pinned one", () =>
  withHome(async (home) => {
    await using server = await start();
    await using other = await start();
    const config = { registry_key: other.facts.registryKey };
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
    const { status, detail } = await doctor(home, server, daemon(server));
    assert.equal(status.registry, "fail");
    assert.match(detail.registry!, /refused/);
  }));

Deno.test("the check of the registry warns of a plain one elsewhere, unless the daemon knows better", async () => {
  const check = NETWORK_CHECKS.find(({ id }) => id === "registry")!;
  const address = "192.0.2.1:9000";
  const result = async (options: object, info?: object, at = address) => {
    const registry = { address: at, reachable: true, rtt_ms: 1, tls: false, error_code: null };
    const patient = { info, options: { registry: at, ...options }, network: { registry } };
    return await check.run(patient as unknown as Patient);
  };
  const warned = await result({});
  assert.equal(warned.status, "warn");
  assert.match(warned.fix!, /pilotctl join.*registry_plain=accept/);
  const told = { registry: address, registry_warning: "The registry" };
  assert.equal((await result({}, told)).status, "warn");
  assert.equal((await result({}, { ...told, registry_warning: null })).status, "ok");
  const other = { registry: "r:1", registry_warning: null };
  assert.equal((await result({}, other)).status, "warn", "of another registry");
  assert.equal((await result({ registryPlain: "accept" })).status, "ok");
  assert.equal((await result({ registryKey: "k" })).status, "ok");
  assert.equal((await result({}, undefined, "127.0.0.1:9000")).status, "ok");
});

Deno.test("the check of the beacon names what is wrong: the name, silence, another address, the daemon", async () => {
  const check = NETWORK_CHECKS.find(({ id }) => id === "udp")!;
  const result = async (beacon: object, info?: object) => {
    const address = "rv.example:9001";
    const asked = ["192.0.2.1:9001", "[2001:db8::1]:9001"];
    const silent = {
      address,
      asked,
      strays: [],
      reachable: false,
      error: null,
      sent: 3,
      answered: 0,
    };
    const report = { ...silent, ...beacon };
    const network = { udp: report.reachable, beacon: report, ipv4: {}, ipv6: {} };
    return await check.run({ info, network } as unknown as Patient);
  };
  const nameless = await result({ error: "rv.example has no address", asked: [] });
  assert.equal(nameless.detail, "rv.example:9001: rv.example has no address");
  assert.match(nameless.fix!, /name service/);
  const silent = await result({});
  assert.match(
    silent.detail,
    /3 datagrams to 192\.0\.2\.1:9001, \[2001:db8::1\]:9001 each, no answer/,
  );
  assert.match(silent.fix!, /firewalls.*several addresses/);
  const elsewhere = await result({ strays: ["192.0.2.9:9001"] });
  assert.match(elsewhere.fix!, /answers from another one.*--beacon 192\.0\.2\.9:9001/);
  assert.doesNotMatch(elsewhere.fix!, /firewall/);
  const answers = { reachable: true, rtt_median_ms: 1, answered: 3 };
  const registered = { registration: "registered", endpoint_proven: false };
  const deaf = await result(answers, { ...registered, beacon_answers: false });
  assert.equal(deaf.status, "warn");
  assert.match(deaf.detail, /the daemon gets no answer/);
  const unproven = await result(answers, { ...registered, beacon_answers: true });
  assert.match(unproven.detail, /not proven/);
  assert.equal((await result(answers)).status, "ok");
});

Deno.test("doctor never prints keys or tokens", () =>
  withHome(async (home) => {
    await using server = await start();
    const secret = "tok-0123456789abcdef0123456789abcdef-XYZ";
    await Deno.chmod(join(home, "identity.json"), 0o600);
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify({ admin_token: secret }));
    const line = `time=${new Date().toISOString()} level=error msg="refused ${secret}"`;
    await Deno.writeTextFile(join(home, "pilot.log"), line);
    const file = JSON.parse(await Deno.readTextFile(join(home, "identity.json")));
    const damaged = JSON.stringify({ ...file, public_key: file.private_key });
    const places = ["--registry", server.registryAddr, "--beacon", server.beaconAddr];
    for (const content of [JSON.stringify(file), damaged, file.private_key]) {
      await Deno.writeTextFile(join(home, "identity.json"), content);
      for (const flags of [[], ["--json"]]) {
        const { stdout, stderr } = await run(["doctor", "--home", home, ...places, ...flags]);
        for (const hidden of [secret, file.private_key]) {
          assert.ok(!(stdout + stderr).includes(hidden));
        }
      }
    }
  }));

Deno.test("the check of the key's expiry warns two weeks ahead", async () => {
  const check = NETWORK_CHECKS.find(({ id }) => id === "key_expiry")!;
  const days = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();
  const cases = [[undefined, "ok"], [days(30), "ok"], [days(3), "warn"], [
    days(-1),
    "fail",
  ]] as const;
  for (const [expires_at, expected] of cases) {
    await using server = new RegistryServer();
    const patient = {
      info: { node_id: 7 },
      options: { registry: server.address },
      network: { registry: { reachable: true } },
    } as unknown as Patient;
    const result = check.run(patient);
    const { request, connection } = await server.next();
    assert.deepEqual(request, { type: "get_key_info", node_id: 7 });
    await connection.reply({ type: "get_key_info_ok", ...(expires_at && { expires_at }) });
    assert.equal((await result).status, expected);
  }
});
