/** What the commands of the servers pass to their roles, and what they show. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { GatewayRoleOptions, RendezvousRoleOptions } from "../../cli/roles.ts";
import { run, withDir } from "./support.ts";

Deno.test("rendezvous and gateway run pass their flags to their roles", async () => {
  const seen: unknown[] = [];
  /** Functions aside, which the other tests call. */
  const plain = (options: object): object =>
    Object.fromEntries(
      Object.entries(options).filter(([, value]) => typeof value !== "function")
        .map(([name, value]) => [name, name === "log" ? plain(value) : value]),
    );
  const note = (options: object) => (seen.push(plain(options)), Promise.resolve(0));
  const host = {
    roles: {
      daemon: () => Promise.reject(new Error()),
      rendezvous: () => Promise.resolve(note),
      rendezvousStatus: () => Promise.reject(new Error()),
      rendezvousStore: () => Promise.reject(new Error()),
      gateway: () => Promise.resolve(note),
    },
  };
  const env = { PILOT_HOME: "/h" };
  await run(
    ["rendezvous", "-registry-addr", "127.0.0.1:0", "-beacon-addr=:0", "-json", "--memory"],
    { host, env },
  );
  await run(["rendezvous"], { host, env });
  const flags = [
    "--http",
    "127.0.0.1:9100",
    "--log-level",
    "debug",
    "--log-format=json",
    "--log-file=/l",
  ];
  await run(["rendezvous", "run", "--tls", ...flags], { host, env });
  const files = ["--tls-cert", "c", "--tls-key", "k"];
  await run([
    "rendezvous",
    ...files,
    "run",
    "--store",
    "/s",
    "--new-store",
    "--advertise",
    "r.example",
  ], { host, env });
  await run(["gateway", "run", "alice", "5", "--ports", "80,8080"], { host, env });
  const log = { level: "info", format: "text" };
  const rules = { adminToken: undefined, strict: true, newStore: false };
  assert.deepEqual(seen, [
    {
      registryAddr: "127.0.0.1:0",
      beaconAddr: ":0",
      ...rules,
      store: undefined,
      ...{ tls: "auto", tlsOnly: false, advertise: undefined },
      http: undefined,
      log,
      logFile: undefined,
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/h/rendezvous",
      ...{ tls: "auto", tlsOnly: false, advertise: undefined },
      http: undefined,
      log,
      logFile: undefined,
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/h/rendezvous",
      ...{ tls: "auto", tlsOnly: true, advertise: undefined },
      http: "127.0.0.1:9100",
      log: { level: "debug", format: "json" },
      logFile: "/l",
    },
    {
      registryAddr: "127.0.0.1:9000",
      beaconAddr: "127.0.0.1:9001",
      ...rules,
      store: "/s",
      newStore: true,
      ...{ tls: { certFile: "c", keyFile: "k" }, tlsOnly: true, advertise: "r.example" },
      http: undefined,
      log,
      logFile: undefined,
    },
    {
      socket: "/h/pilot.sock",
      common: undefined,
      subnet: "127.77.0.0/16",
      ports: [80, 8080],
      skipDenied: false,
      targets: ["alice", "5"],
    },
  ]);
  assert.equal((await run(["rendezvous", "--memory", "--store", "x"], { host, env })).code, 2);
  assert.equal((await run(["rendezvous", "--tls-cert", "x"], { host, env })).code, 2);
  assert.equal((await run(["rendezvous", "--no-tls", ...files], { host, env })).code, 2);
  await run(["rendezvous", "--memory", "--no-tls"], { host, env });
  assert.equal((seen.at(-1) as RendezvousRoleOptions).tls, "none");
});

Deno.test("servers say where they answer, and what to do before others can reach them", async () => {
  const unused = () => Promise.reject(new Error());
  const ready = {
    ...{ registry: "[::]:9000", beacon: "[::]:9001", store: null, pid: 1, http: "127.0.0.1:9100" },
    ...{ registry_key: "KEY", tls_fingerprint: null },
    ...{ join_uri: "pilot://<HOST>:9000", join_hint: "Replace <HOST>" },
  };
  const mapped = { local_ip: "127.77.0.2", pilot_addr: "0:0000.0000.0007" };
  const host = {
    roles: {
      daemon: unused,
      rendezvous: () =>
        Promise.resolve((options: RendezvousRoleOptions) => {
          options.ready(ready);
          return Promise.resolve(0);
        }),
      rendezvousStatus: unused,
      rendezvousStore: unused,
      gateway: () =>
        Promise.resolve((options: GatewayRoleOptions) => {
          options.ready({
            ...{ pid: 1, subnet: "127.77.0.0/16" },
            mappings: [{ ...mapped, ports: [8080, 1000], skipped: [80] }],
          });
          return Promise.resolve(0);
        }),
    },
  };
  const env = { PILOT_HOME: "/h" };
  const rendezvous = await run(["rendezvous", "--memory"], { host, env });
  assert.deepEqual(rendezvous.stdout.trimEnd().split("\n"), [
    "rendezvous ready: registry [::]:9000, beacon [::]:9001, store (memory), http 127.0.0.1:9100, key KEY",
    "pilotctl join 'pilot://<HOST>:9000'",
    "Replace <HOST>",
  ]);
  const gateway = await run(["gateway", "run", "alice"], { host, env });
  assert.deepEqual(gateway.stdout.trimEnd().split("\n"), [
    "gateway ready: 127.77.0.0/16",
    "  127.77.0.2 -> 0:0000.0000.0007  ports 8080, 1000",
    "  without ports 80, which need more privileges: see --ports",
  ]);
  const json = await run(["rendezvous", "--memory", "--json"], { host, env });
  assert.deepEqual(JSON.parse(json.stdout), { status: "ok", data: ready });
});

Deno.test("rendezvous run passes on how the beacon asks another registry", async () => {
  const seen: RendezvousRoleOptions[] = [];
  const note = (options: RendezvousRoleOptions) => (seen.push(options), Promise.resolve(0));
  const unused = () => Promise.reject(new Error());
  const host = {
    roles: {
      daemon: unused,
      rendezvous: () => Promise.resolve(note),
      rendezvousStatus: unused,
      rendezvousStore: unused,
      gateway: unused,
    },
  };
  const runWith = (fingerprint: string) =>
    run([
      ...["rendezvous", "run", "--memory", "--beacon-id", "2"],
      ...["--beacon-registry", "r:9000", "--beacon-registry-fingerprint", fingerprint],
    ], { host, env: { PILOT_HOME: "/h" } });
  await runWith("AB:".repeat(31) + "AB");
  const { id, registry, registryFingerprint } = seen[0]?.beacon ?? {};
  assert.deepEqual({ id, registry, registryFingerprint }, {
    id: 2,
    registry: "r:9000",
    registryFingerprint: "ab".repeat(32),
  });
  assert.equal((await runWith("abc")).code, 2);
  await withDir(async (dir) => {
    const file = `${dir}/token`;
    const withToken = () =>
      run(["rendezvous", "run", "--memory", "--beacon-token-file", file], {
        host,
        env: { PILOT_HOME: "/h" },
      });
    assert.equal((await withToken()).code, 2);
    await Deno.writeTextFile(file, "the token of the cluster\n", { mode: 0o600 });
    assert.equal((await withToken()).code, 0);
    assert.equal(seen.at(-1)?.beacon?.token, "the token of the cluster");
    await Deno.chmod(file, 0o644);
    assert.match((await withToken()).stderr, /is readable by other users/);
  });
});

Deno.test("rendezvous run takes what is pinned of the beacons' registry from its URI or the config file", async () => {
  const unused = () => Promise.reject(new Error());
  await withDir(async (home) => {
    const beacon = async (...args: string[]) => {
      let seen: RendezvousRoleOptions | undefined;
      const note = (options: RendezvousRoleOptions) => (seen = options, Promise.resolve(0));
      const roles = {
        ...{ daemon: unused, rendezvousStatus: unused, rendezvousStore: unused, gateway: unused },
        rendezvous: () => Promise.resolve(note),
      };
      const { code } = await run(["rendezvous", "--memory", "--beacon-id", "2", ...args], {
        host: { roles },
        env: { PILOT_HOME: home },
      });
      return code === 0 ? [seen?.beacon?.registry, seen?.beacon?.registryFingerprint] : code;
    };
    const hex = "ab".repeat(32);
    const uri = `pilot://r:9000?beacon=r:9001&fingerprint=${hex}`;
    assert.deepEqual(await beacon("--beacon-registry", uri), ["r:9000", hex]);
    assert.equal(await beacon("--beacon-registry", `${uri}&x=1`), 2);
    const twice = ["--beacon-registry", uri, "--beacon-registry-fingerprint", hex];
    assert.equal(await beacon(...twice), 2);
    assert.deepEqual(await beacon("--beacon-registry", "r:9000"), ["r:9000", undefined]);
    const config = { registry: "r:9000", registry_fingerprint: hex };
    await Deno.writeTextFile(join(home, "config.json"), JSON.stringify(config));
    assert.deepEqual(await beacon("--beacon-registry", "r:9000"), ["r:9000", hex]);
    assert.deepEqual(await beacon("--beacon-registry", "other:9000"), ["other:9000", undefined]);
  });
});

Deno.test("rendezvous takes its admin token from a private file or the environment, and may be less strict", async () => {
  const seen: { adminToken?: string | undefined; strict: boolean }[] = [];
  const host = {
    roles: {
      daemon: () => Promise.reject(new Error()),
      rendezvous: () =>
        Promise.resolve((options: typeof seen[number]) => (seen.push(options), Promise.resolve(0))),
      rendezvousStatus: () => Promise.reject(new Error()),
      rendezvousStore: () => Promise.reject(new Error()),
      gateway: () => Promise.reject(new Error()),
    },
  };
  const directory = await Deno.makeTempDir();
  try {
    const env = { PILOT_HOME: directory, PILOT_ADMIN_TOKEN: "from-environment" };
    await run(["rendezvous", "--memory", "--no-strict"], { host, env });
    const file = `${directory}/token`;
    await Deno.writeTextFile(file, "from-file\n", { mode: 0o600 });
    await run(["rendezvous", "--memory", "--admin-token-file", file], { host, env });
    assert.deepEqual(
      seen.map(({ adminToken, strict }) => ({ adminToken, strict })),
      [
        { adminToken: "from-environment", strict: false },
        { adminToken: "from-file", strict: true },
      ],
    );
    await Deno.chmod(file, 0o644);
    const open = await run(["rendezvous", "--memory", "--admin-token-file", file], { host, env });
    assert.notEqual(open.code, 0);
    assert.match(open.stderr, /is readable by other users/);
    const missing = await run(["rendezvous", "--memory", "--admin-token-file", `${file}2`], {
      host,
      env,
    });
    assert.equal(missing.code, 2);
    assert.equal(seen.length, 2);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("rendezvous status passes its flags to the role and shows what it found", async () => {
  const asked: unknown[] = [];
  const found = {
    running: true,
    healthy: true,
    pid: 7,
    uptime_seconds: 61,
    registry: "127.0.0.1:9000",
    nodes_online: 3,
    nodes_total: 5,
    store_bytes: 2048,
    registry_key: "KEY",
    tls_fingerprint: null,
    join_uri: "pilot://<HOST>:9000?beacon=<HOST>:9001&key=KEY",
    join_hint: "Replace <HOST>",
  };
  const refuse = () => Promise.reject(new Error());
  const host = {
    roles: {
      ...{ daemon: refuse, rendezvous: refuse, rendezvousStore: refuse, gateway: refuse },
      rendezvousStatus: () =>
        Promise.resolve((options: unknown) => (asked.push(options), Promise.resolve(found))),
    },
  };
  const env = { PILOT_HOME: "/h" };
  const { stdout } = await run(["rendezvous", "status"], { host, env });
  for (const part of ["running", "3 online, 5 known", "00:01:01", "2.0 KiB", "KEY"]) {
    assert.ok(stdout.includes(part), stdout);
  }
  assert.ok(!stdout.includes("TLS"));
  assert.ok(stdout.endsWith(`\npilotctl join '${found.join_uri}'\nReplace <HOST>\n`), stdout);
  const json = await run(["rendezvous", "status", "--http", ":9100", "--json"], { host, env });
  assert.deepEqual(JSON.parse(json.stdout), { status: "ok", data: found });
  await run(["rendezvous", "--store", "/s", "status"], { host, env });
  assert.deepEqual(asked, [
    { store: "/h/rendezvous", http: undefined },
    { store: "/h/rendezvous", http: ":9100" },
    { store: "/s", http: undefined },
  ]);
  const both = ["rendezvous", "status", "--http", ":1", "--store", "/s"];
  assert.equal((await run(both, { host, env })).code, 2);
});
