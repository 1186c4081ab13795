import assert from "node:assert/strict";
import { netcheck, NETCHECK_MS } from "../../../cli/netcheck/netcheck.ts";
import { netcheckText } from "../../../cli/commands/netcheck_commands.ts";
import { beaconFault } from "../../../cli/netcheck/netcheck_report.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { start } from "../../rendezvous/support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { RawClient } from "../../rendezvous/support/client.ts";
import { at, run, runJson, withDir } from "../support.ts";
import { FakeNetwork, type Seen } from "./support.ts";

/** A port that nothing listens on. */
function deadPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

const OUTER = "203.0.113.5";
const LOCAL = { ipv4: ["10.0.0.7"], globalIpv6: [] };

/** Runs a check through a made-up network; the registry is dead unless named. */
async function check(
  seen: Seen,
  options: {
    registry?: string;
    beacon?: string;
    forbidsFragments?: boolean;
    answers?: (server: Endpoint) => Endpoint;
    /** Addresses of every name. */
    names?: readonly string[];
  } = {},
) {
  const network = new FakeNetwork(seen, options);
  const report = await netcheck({
    registry: options.registry ?? `127.0.0.1:${deadPort()}`,
    beacon: options.beacon ?? "192.0.2.1:9001",
    signal: new AbortController().signal,
    open: network.open,
    addresses: LOCAL,
    resolve: () => Promise.resolve((options.names ?? []).map((address) => ({ address }))),
  });
  return { report, asked: network.asked };
}

const isBeacon = ({ host, port }: Endpoint) => host === "192.0.2.1" && port === 9001;

Deno.test("netcheck finds a NAT whose mapping depends on the port by the probe port", async () => {
  const { report } = await check((server) => ({ host: OUTER, port: server.port - 8000 }));
  assert.equal(report.udp, true);
  assert.deepEqual(report.ipv4, {
    local: ["10.0.0.7"],
    beacon: "192.0.2.1:9001",
    reachable: true,
    reflexive: `${OUTER}:1001`,
  });
  assert.deepEqual(report.ipv6, { local: [], beacon: null, reachable: null, reflexive: null });
  assert.deepEqual(report.nat, {
    behind: true,
    mapping: "address_and_port_dependent",
    port_preserved: false,
    seen: [
      { server: "192.0.2.1:9001", endpoint: `${OUTER}:1001` },
      { server: "192.0.2.1:9002", endpoint: `${OUTER}:1002` },
    ],
  });
});

Deno.test("netcheck claims nothing about the mapping when only the beacon answers", async () => {
  const { report } = await check((server) =>
    isBeacon(server) ? { host: OUTER, port: 4000 } : undefined
  );
  assert.equal(report.nat.mapping, "unknown");
  assert.equal(report.nat.port_preserved, true);
  assert.deepEqual(report.nat.seen[1], { server: "192.0.2.1:9002", endpoint: null });
});

Deno.test("netcheck asks all addresses of the beacon's name and uses the one that answers", async () => {
  const names = ["192.0.2.9", "192.0.2.1", "2001:db8::9", "2001:db8::1"];
  const beacon = "rv.example:9001";
  const { report } = await check(
    ({ host }) => /[.:]1$/.test(host) ? { host: OUTER, port: 4000 } : undefined,
    { beacon, names },
  );
  assert.equal(report.ipv4.beacon, "192.0.2.1:9001");
  assert.equal(report.ipv6.beacon, "[2001:db8::1]:9001");
  assert.deepEqual(report.beacon.asked, [
    "192.0.2.9:9001",
    "192.0.2.1:9001",
    "[2001:db8::9]:9001",
    "[2001:db8::1]:9001",
  ]);
  assert.equal(beaconFault(report.beacon), undefined);
  const none = await check(() => undefined, { beacon, names });
  assert.match(
    beaconFault(none.report.beacon)!.what,
    /to 192\.0\.2\.9:9001, 192.* each, no answer$/,
  );
});

Deno.test("netcheck reports answers that come from another address, and ignores them", async () => {
  const { report } = await check(() => ({ host: OUTER, port: 4000 }), {
    answers: ({ port }) => ({ host: "192.0.2.77", port }),
  });
  assert.equal(report.udp, false);
  assert.deepEqual(report.beacon.strays, ["192.0.2.77:9001"]);
  const { what, advice } = beaconFault(report.beacon)!;
  assert.match(what, /the answers came from 192\.0\.2\.77:9001$/);
  assert.match(advice, /several addresses.*--beacon 192\.0\.2\.77:9001/);
});

Deno.test("netcheck shows some of a machine's addresses to people, and how many more there are", async () => {
  const { report } = await check(() => ({ host: OUTER, port: 4000 }));
  const local = Array.from({ length: 4_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const shown = netcheckText({ ...report, ipv4: { ...report.ipv4, local }, daemon: null });
  assert.match(String(shown), /10\.1\.0\.7 and 3992 more/);
  assert.ok(String(shown).length < 2_000);
});

Deno.test("netcheck takes a beacon with a zone, whose answers carry none", async () => {
  const { report, asked } = await check(() => ({ host: "fe80::5", port: 4000 }), {
    beacon: "[fe80::1%eth0]:9001",
    answers: ({ port }) => ({ host: "fe80::1", port }),
  });
  assert.equal(report.udp, true);
  assert.equal(report.ipv6.reflexive, "[fe80::5]:4000");
  assert.equal(asked[0]!.host, "fe80::1%eth0");
});

Deno.test("netcheck asks a few of the beacons that the registry lists, by address only", async () => {
  await using server = await start();
  using client = await RawClient.open(server.registryAddr);
  const listed = [
    "192.0.2.1:9001",
    "beacon.example:9001",
    "[2001:db8::1]:9001",
    "198.51.100.1:9001",
    "198.51.100.2:9001",
    "198.51.100.3:9001",
    "198.51.100.4:9001",
  ];
  for (const [i, addr] of listed.entries()) {
    await client.ok({ type: "beacon_register", beacon_id: i + 1, addr });
  }
  const { report, asked } = await check(() => ({ host: OUTER, port: 4000 }), {
    registry: server.registryAddr,
  });
  assert.equal(report.nat.mapping, "endpoint_independent");
  assert.equal(report.registry.reachable, true);
  assert.deepEqual([...new Set(asked.map(({ host }) => host))], [
    "192.0.2.1",
    "198.51.100.1",
    "198.51.100.2",
    "198.51.100.3",
  ]);
});

Deno.test("netcheck finds the MTU to the byte, and says when it cannot", async () => {
  const narrow = (mtu: number): Seen => (_, bytes) =>
    bytes + 28 <= mtu ? { host: OUTER, port: 4000 } : undefined;
  const whole = await check(narrow(9000));
  assert.deepEqual(whole.report.mtu, { bytes: 1500, note: "no larger size was tried" });
  const { report } = await check((server, bytes) =>
    bytes + 28 <= 1493 ? { host: OUTER, port: server.port } : undefined
  );
  // A silent network costs time for each size: on a slow machine it may run out, which is said.
  if (report.mtu.note === null) assert.equal(report.mtu.bytes, 1493);
  else assert.ok(report.mtu.bytes! <= 1493 && report.mtu.bytes! >= 1200, report.mtu.note);
  const none = await check(narrow(600));
  assert.deepEqual(none.report.mtu, { bytes: null, note: "not even 1200 bytes arrive" });
  const portable = await check(narrow(9000), { forbidsFragments: false });
  assert.match(portable.report.mtu.note!, /cannot forbid fragments/);
});

Deno.test("netcheck measures the registry's clock", async () => {
  const clock = new ManualClock();
  await using server = await start({ clock });
  const { report } = await check(() => undefined, { registry: server.registryAddr });
  assert.equal(report.udp, false);
  const expected = clock.unixNow() - Date.now();
  assert.ok(Math.abs(report.registry.skew_ms! - expected) < 60_000, `${report.registry.skew_ms}`);
});

Deno.test("netcheck ends within its time when registry and beacon swallow everything", async () => {
  using registry = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using stack = new DisposableStack();
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const beacon = stack.adopt(socket, () => socket.close());
  const beaconAddr = `127.0.0.1:${(beacon.addr as Deno.NetAddr).port}`;
  await withDir(async (dir) => {
    const startMs = performance.now();
    const { code, error } = await runJson([
      ...["netcheck", "--home", dir, "--registry", `127.0.0.1:${registry.addr.port}`],
      ...["--beacon", beaconAddr],
    ]);
    // Its own promise, and half a second for a loaded machine.
    assert.ok(performance.now() - startMs < NETCHECK_MS + 500);
    assert.equal(code, 14);
    assert.equal(error?.code, "unavailable");
    assert.match(String(error?.message), new RegExp(`does not reach the beacon ${beaconAddr}`));
    assert.equal(at(error, "data", "udp"), false);
    assert.equal(at(error, "data", "registry", "reachable"), false);
    assert.equal(at(error, "data", "nat", "behind"), null);
  });
});

Deno.test("netcheck through a real rendezvous, with the daemon's view beside it", async () => {
  await using server = await start();
  await withDir(async (dir) => {
    const args = ["netcheck", "--home", dir, "--registry", server.registryAddr];
    const info = () =>
      Promise.resolve({
        endpoint: "127.0.0.1:5",
        endpoint_proven: true,
        registration: "registered",
      });
    const driver = { info } as never;
    const { code, data } = await runJson([...args, "--beacon", server.beaconAddr], { driver });
    assert.equal(code, 0);
    assert.equal(at(data, "udp"), true);
    assert.equal(at(data, "beacon", "answered"), 5);
    assert.equal(at(data, "nat", "behind"), false);
    assert.equal(at(data, "nat", "mapping"), "none");
    assert.equal(at(data, "nat", "port_preserved"), true);
    assert.equal(at(data, "ipv4", "beacon"), server.beaconAddr);
    assert.equal(at(data, "daemon", "endpoint_proven"), true);
    const { stdout } = await run([...args, "--beacon", server.beaconAddr]);
    assert.match(stdout, /UDP: +works/);
    assert.match(stdout, /Daemon: +not running/);
  });
});

Deno.test("netcheck does not take a registry with another key for the pinned one", async () => {
  await using server = await start();
  await using other = await start();
  await withDir(async (dir) => {
    const args = ["netcheck", "--home", dir, "--registry", server.registryAddr];
    const config = { registry_key: other.facts.registryKey };
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(config));
    const { code, data } = await runJson([...args, "--beacon", server.beaconAddr]);
    assert.equal(code, 0); // UDP works
    assert.equal(at(data, "registry", "reachable"), false);
    assert.equal(at(data, "registry", "error_code"), "untrusted");
  });
});

Deno.test("netcheck and doctor ask over TLS, and with the pinned key, once a home was joined", async () => {
  await using server = await start({ tlsOnly: true });
  await withDir(async (dir) => {
    assert.equal((await runJson(["join", server.facts.join.uri, "--home", dir])).code, 0);
    const { code, data } = await runJson(["netcheck", "--home", dir]);
    assert.equal(code, 0);
    assert.equal(at(data, "registry", "reachable"), true);
    assert.equal(at(data, "registry", "tls"), true);
    const { stdout } = await run(["doctor", "--home", dir]);
    assert.match(stdout, /ok +Registry: .*, certificate pinned, key pinned\n/);
  });
});

Deno.test("netcheck ends soon after Ctrl-C", async () => {
  using registry = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await withDir(async (dir) => {
    const { code, error } = await runJson([
      ...["netcheck", "--home", dir, "--registry", `127.0.0.1:${registry.addr.port}`],
      ...["--beacon", `127.0.0.1:${deadPort()}`],
    ], {
      onInterruptible: (interrupt) =>
        void registry.accept().then((conn) => {
          conn.close();
          interrupt();
        }),
    });
    assert.equal(code, 130);
    assert.equal(error?.code, "aborted");
  });
});
