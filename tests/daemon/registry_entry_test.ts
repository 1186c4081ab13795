import assert from "node:assert/strict";
import { join } from "node:path";
import { PilotError } from "../../protocol/errors.ts";
import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import { Directory } from "../../daemon/registry_entry.ts";
import type { NodeRegistry } from "../../daemon/registry/node_registry.ts";
import { StateFiles } from "../../daemon/state_files.ts";
import { SAVE_RETRY_MS } from "../../daemon/trust/saver.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { settle } from "../support/settle.ts";

/** A directory that asks nobody: only what it notes itself is looked at. */
function directory(): Directory {
  return new Directory({
    registry: {} as NodeRegistry,
    files: {} as StateFiles,
    clock: new ManualClock(),
    local: { host: "0.0.0.0", port: 4000 },
    isPublic: false,
    hostname: "",
    wanted: {},
  });
}

Deno.test("Directory.observe reports another port or host once, and not what is known", () => {
  const it = directory();
  const yes = () => true;
  assert.equal(it.observe({ host: "203.0.113.5", port: 4000 }, yes), false);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, yes), true);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, yes), false);
  assert.equal(it.observe({ host: "203.0.113.6", port: 6000 }, yes), true);
  assert.equal(it.listenAddr(), "203.0.113.6:6000");
});

Deno.test("Directory.observe keeps what it had while news are not admitted, and takes them later", () => {
  const it = directory();
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, () => false), false);
  assert.equal(it.observed, undefined);
  assert.equal(it.observe({ host: "203.0.113.5", port: 6000 }, () => true), true);
  assert.deepEqual(it.observed, { host: "203.0.113.5", port: 6000 });
});

/** A directory whose registry answers a resolve with this. */
function resolving(reply: { realAddr: string; lanAddrs: string[] }, options: {
  ipv4?: string[];
  globalIpv6?: string[];
  listen?: string;
} = {}): Directory {
  const it = new Directory({
    registry: { resolve: () => Promise.resolve(reply) } as unknown as NodeRegistry,
    files: {} as StateFiles,
    clock: new ManualClock(),
    local: { host: options.listen ?? "::", port: 4000 },
    isPublic: false,
    hostname: "",
    wanted: {},
    addresses: () => ({ ipv4: options.ipv4 ?? [], globalIpv6: options.globalIpv6 ?? [] }),
  });
  it.observe({ host: "203.0.113.5", port: 6000 }, () => true);
  return it;
}

Deno.test("Directory.resolve tries a peer's LAN address only behind the same public one, in the same network", async () => {
  const lanAddrs = ["192.168.1.9:4000", "10.0.0.9:4000"];
  const ipv4 = ["192.168.1.2"];
  const near = await resolving({ realAddr: "203.0.113.5:7000", lanAddrs }, { ipv4 }).resolve(7);
  assert.deepEqual(near.alternatives, [{ host: "192.168.1.9", port: 4000 }]);
  const far = await resolving({ realAddr: "203.0.113.6:7000", lanAddrs }, { ipv4 }).resolve(7);
  assert.deepEqual(far.alternatives, []);
});

Deno.test("Directory.resolve takes two other public addresses at most, IPv6 only where there is IPv6", async () => {
  const reply = {
    realAddr: "203.0.113.6:7000",
    lanAddrs: ["203.0.113.6:7000", "[2001:db8::1]:4000", "198.51.100.1:4000", "198.51.100.2:4000"],
  };
  const v4 = await resolving(reply).resolve(7);
  assert.deepEqual(v4.others?.map(({ host }) => host), ["198.51.100.1", "198.51.100.2"]);
  const v6 = await resolving(reply, { globalIpv6: ["2001:db8::2"] }).resolve(7);
  assert.deepEqual(v6.others?.map(({ host }) => host), ["2001:db8::1", "198.51.100.1"]);
  for (const listen of ["0.0.0.0", "192.168.1.2"]) {
    const deaf = await resolving(reply, { globalIpv6: ["2001:db8::2"], listen }).resolve(7);
    assert.deepEqual(deaf.others, v4.others, listen);
  }
});

Deno.test("Directory.resolve takes no address of a peer where not one host is, and none twice", async () => {
  const named = ["0.0.0.0:4000", "224.0.0.1:4000", "239.255.255.250:1900", "255.255.255.255:4000"];
  named.push("[ff02::1]:4000", "[::]:4000", "[::ffff:224.0.0.1]:4000", "198.51.100.1:0");
  named.push("[fe80::1%eth0]:4000", "127.0.0.1:4000", "[::1]:4000", "192.168.1.255:4000");
  named.push("[fe80::1]:4000", "198.51.100.1:99999", "nonsense");
  const all = { ipv4: ["192.168.1.2"], globalIpv6: ["2001:db8::2"] };
  const none = { alternatives: [], others: [] };
  for (const lan of named) {
    const reply = { realAddr: "203.0.113.5:7000", lanAddrs: [lan] };
    const { alternatives, others } = await resolving(reply, all).resolve(7);
    assert.deepEqual({ alternatives, others }, none, lan);
  }
  for (const realAddr of named.slice(0, 9)) {
    const { endpoint } = await resolving({ realAddr, lanAddrs: [] }, all).resolve(7);
    assert.equal(endpoint, undefined, realAddr);
  }
  const reply = { realAddr: "[::ffff:198.51.100.7]:7000", lanAddrs: ["198.51.100.7:7000"] };
  reply.lanAddrs.push("[2001:DB8:0::1]:4000");
  const { endpoint, others } = await resolving(reply, all).resolve(7);
  assert.deepEqual(endpoint, { host: "198.51.100.7", port: 7000 });
  assert.deepEqual(others, [{ host: "2001:db8::1", port: 4000 }]);
});

Deno.test("Directory names no address of a hidden node, and the fixed endpoint of another one", () => {
  const parts = {
    registry: {} as NodeRegistry,
    files: {} as StateFiles,
    clock: new ManualClock(),
    local: { host: "::", port: 4000 },
    isPublic: false,
    hostname: "",
    wanted: {},
    addresses: () => ({ ipv4: ["192.168.1.2"], globalIpv6: ["2001:db8::2"] }),
  };
  assert.deepEqual(new Directory({ ...parts, isHidden: true }).lanAddrs(), []);
  const fixed = new Directory({ ...parts, fixed: { host: "198.51.100.1", port: 5000 } });
  assert.deepEqual(fixed.lanAddrs(), [
    "192.168.1.2:4000",
    "[2001:db8::2]:4000",
    "198.51.100.1:5000",
  ]);
  assert.equal(fixed.observe({ host: "203.0.113.5", port: 6000 }, () => true), false);
  assert.equal(fixed.listenAddr(), "198.51.100.1:5000");
});

Deno.test("Directory names no IPv6 address where its socket has only IPv4", () => {
  const named = (host: string) =>
    new Directory({
      registry: {} as NodeRegistry,
      files: {} as StateFiles,
      clock: new ManualClock(),
      local: { host, port: 4000 },
      isPublic: false,
      hostname: "",
      wanted: {},
      addresses: () => ({ ipv4: ["192.168.1.2"], globalIpv6: ["2001:db8::2"] }),
    }).lanAddrs();
  assert.deepEqual(named("0.0.0.0"), ["192.168.1.2:4000"]);
  assert.deepEqual(named("::"), ["192.168.1.2:4000", "[2001:db8::2]:4000"]);
  assert.deepEqual(named("192.168.1.2"), []);
});

Deno.test("Directory.onRegistered continues without a hostname that is refused, and fails while the registry is away", async () => {
  await withHome(async (home) => {
    const warnings: string[] = [];
    let error = new PilotError("already_exists", 'hostname "bob" already in use');
    let isRefused = true;
    const registry = {
      node: 5,
      identity: { publicKeyBase64: "key" },
      setHostname: () => isRefused ? Promise.reject(error) : Promise.resolve({}),
      lookup: () => Promise.resolve({ public: false, hostname: "", networks: [0] }),
    } as unknown as NodeRegistry;
    const it = new Directory({
      registry,
      files: new StateFiles(home, join(home, "identity.json")),
      clock: new ManualClock(),
      local: { host: "0.0.0.0", port: 4000 },
      isPublic: false,
      hostname: "",
      wanted: { hostname: "bob" },
      warn: (message) => void warnings.push(message),
    });
    await it.onRegistered();
    await it.onRegistered();
    assert.equal(it.hostnameError, 'hostname "bob" already in use');
    assert.deepEqual(warnings, ["registered without a hostname"], "told once");
    error = new PilotError("unavailable", "Registry is not reachable");
    await assert.rejects(it.onRegistered(), { code: "unavailable" });
    isRefused = false;
    await it.onRegistered();
    assert.equal(it.hostnameError, undefined);
    await it.close();
  });
});

Deno.test("Directory gives a registry that came back empty the hostname of before, and says when it is taken", async () => {
  await withHome(async (home) => {
    let isTaken = false;
    let name = "";
    const registry = {
      node: 5,
      identity: { publicKeyBase64: "key" },
      setHostname: (wanted: string) => {
        if (isTaken) return Promise.reject(new PilotError("already_exists", "in use"));
        name = wanted;
        return Promise.resolve({});
      },
      lookup: () => Promise.resolve({ public: false, hostname: name, networks: [0] }),
    } as unknown as NodeRegistry;
    const files = new StateFiles(home, join(home, "identity.json"));
    const it = new Directory({
      ...{ registry, files, clock: new ManualClock() },
      local: { host: "0.0.0.0", port: 4000 },
      isPublic: false,
      hostname: "eve",
      wanted: {},
    });
    await it.onRegistered();
    assert.deepEqual([name, it.hostname, it.hostnameError], ["eve", "eve", undefined]);
    assert.equal((await files.node("key"))?.hostname, "eve");
    name = "";
    isTaken = true;
    await it.onRegistered();
    assert.deepEqual([it.hostname, it.hostnameError], ["", "in use"]);
    await it.close();
  });
});

Deno.test("Directory does what it was asked for when node.json cannot be written, and says so in the log", async () => {
  await withHome(async (home) => {
    const clock = new ManualClock();
    const warnings: string[] = [];
    const set: string[] = [];
    const registry = {
      node: 5,
      identity: { publicKeyBase64: "key" },
      setHostname: (name: string) => Promise.resolve({ hostname: set[set.push(name) - 1] }),
      lookup: () => Promise.resolve({ public: true, hostname: "alice", networks: [0] }),
    } as unknown as NodeRegistry;
    const it = new Directory({
      registry,
      files: new StateFiles(join(home, "missing"), join(home, "identity.json")),
      clock,
      local: { host: "0.0.0.0", port: 4000 },
      isPublic: false,
      hostname: "",
      wanted: { hostname: "alice" },
      warn: (message) => void warnings.push(message),
    });
    await it.onRegistered();
    assert.deepEqual([it.hostname, it.isPublic, set], ["alice", true, ["alice"]]);
    assert.deepEqual(await it.setHostname("bob"), { hostname: "bob" });
    assert.equal(it.hostname, "bob");
    assert.deepEqual(warnings, ["node.json not written", "node.json not written"]);
    // It is written when there is room again, without anything that asks for it.
    await Deno.mkdir(join(home, "missing"));
    const written = async () => {
      const text = await Deno.readTextFile(join(home, "missing", "node.json")).catch(() => "{}");
      return JSON.parse(text).hostname === "bob";
    };
    await clock.run(SAVE_RETRY_MS);
    // On a busy disk that takes as long as it takes.
    while (!await written()) await settle();
    await it.close();
    assert.equal(warnings.length, 2);
  });
});

Deno.test("Directory.close writes what could not be written before", async () => {
  await withHome(async (home) => {
    const it = new Directory({
      registry: {
        ...{ node: 5, identity: { publicKeyBase64: "key" } },
        setVisibility: () => Promise.resolve({}),
      } as unknown as NodeRegistry,
      files: new StateFiles(join(home, "missing"), ""),
      clock: new ManualClock(),
      local: { host: "0.0.0.0", port: 4000 },
      isPublic: false,
      hostname: "",
      wanted: {},
    });
    await it.setVisibility(true);
    await Deno.mkdir(join(home, "missing"));
    await it.close();
    const text = await Deno.readTextFile(join(home, "missing", "node.json"));
    assert.equal(JSON.parse(text).isPublic, true);
  });
});

Deno.test("StateFiles.saveNode writes only what the file does not say already", async () => {
  await withHome(async (home) => {
    const path = join(home, "node.json");
    const facts = { node: 5, publicKey: "key", isPublic: false, hostname: "", joined: [3] };
    const inode = async () => (await Deno.stat(path)).ino;
    await new StateFiles(home, "").saveNode(facts);
    const first = await inode();
    const files = new StateFiles(home, "");
    assert.deepEqual(await files.node("key"), facts);
    await files.saveNode(facts);
    assert.equal(await inode(), first);
    await files.saveNode({ ...facts, hostname: "alice" });
    assert.notEqual(await inode(), first);
    assert.equal((await files.node("key"))?.hostname, "alice");
  });
});

Deno.test("StateFiles.saveNode notes the registry of the number, also of one that was known before", async () => {
  await withHome(async (home) => {
    const facts = { node: 5, publicKey: "key", isPublic: false, hostname: "", joined: [3] };
    const marks = [{}, { registry: "r:1" }, { registry: "r:1", registryKey: "k" }];
    for (const mark of marks) {
      const files = new StateFiles(home, "", mark);
      await files.node("key");
      await files.saveNode(facts);
      const file = JSON.parse(await Deno.readTextFile(join(home, "node.json")));
      assert.deepEqual(file, { ...facts, ...mark });
    }
  });
});

/** A directory whose registry counts node 5 into networks, and what was said about it. */
function joining(home: string, options: { joined?: number[]; networks: number[] }) {
  const warnings: unknown[] = [];
  let refusal: PilotError | undefined;
  const registry = {
    node: 5,
    identity: { publicKeyBase64: "key" },
    lookup: () => Promise.resolve({ networks: [0, ...options.networks] }),
    network: (_type: string, fields: JsonObject) =>
      refusal === undefined ? Promise.resolve({ ...fields }) : Promise.reject(refusal),
  };
  const it = new Directory({
    registry: registry as unknown as NodeRegistry,
    files: new StateFiles(home, ""),
    clock: new ManualClock(),
    local: { host: "::", port: 4000 },
    isPublic: false,
    hostname: "",
    wanted: {},
    joined: options.joined,
    warn: (_message, fields) => void warnings.push(fields.network),
  });
  return { it, warnings, refuse: (error: PilotError) => refusal = error };
}

Deno.test("Directory counts only networks that were joined here, and reports others once", async () => {
  await withHome(async (home) => {
    const { it, warnings } = joining(home, { joined: [], networks: [3, 4] });
    await it.onRegistered();
    await it.onRegistered();
    assert.deepEqual([it.joined, warnings], [[], [3, 4]]);
    const listed = () => it.networks().map(({ network_id }) => network_id);
    await it.network("join_network", { network_id: 2 });
    assert.deepEqual(listed(), [2, 3, 4], "at once, and without the network of all");
    assert.equal(it.networks()[0]!.address, "2:0002.0000.0005");
    await it.network("leave_network", { network_id: 2 });
    assert.deepEqual(listed(), [3, 4]);
    await it.network("join_network", { network_id: 3 });
    await it.network("respond_invite", { network_id: 4, accept: false });
    assert.deepEqual(it.joined, [3]);
    await it.network("respond_invite", { network_id: 4, accept: true });
    await it.network("list_nodes", { network_id: 9 });
    await it.network("leave_network", { network_id: 3 });
    assert.deepEqual(it.joined, [4]);
    assert.deepEqual((await new StateFiles(home, "").node("key"))?.joined, [4], "for good");
  });
});

Deno.test("Directory counts joining a network that it was put into as its own decision", async () => {
  await withHome(async (home) => {
    const { it, refuse } = joining(home, { joined: [], networks: [3] });
    refuse(new PilotError("denied", "no"));
    await assert.rejects(it.network("join_network", { network_id: 3 }), { code: "denied" });
    assert.deepEqual(it.joined, []);
    refuse(new PilotError("already_exists", "node 5 already in network 3"));
    const joined = await it.network("join_network", { network_id: 3 });
    assert.deepEqual([joined.network_id, joined.address], [3, "3:0003.0000.0005"]);
    assert.deepEqual(it.joined, [3]);
    await assert.rejects(it.network("join_network", { network_id: 3 }), { code: "already_exists" });
  });
});

Deno.test("Directory takes the registry's list over once when no earlier run has noted its own", async () => {
  await withHome(async (home) => {
    const { it } = joining(home, { networks: [3] });
    await it.onRegistered();
    assert.deepEqual(it.joined, [3]);
    const files = new StateFiles(home, "");
    const later = joining(home, {
      joined: [...(await files.node("key"))!.joined!],
      networks: [3, 4],
    });
    await later.it.onRegistered();
    assert.deepEqual(later.it.joined, [3]);
  });
});

async function withHome(body: (home: string) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    await body(home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
