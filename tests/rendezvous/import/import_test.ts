/** Taking over the snapshot of an existing registry (docs/protocol/registry.md §6). */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { PilotError } from "../../../protocol/errors.ts";
import { Identity } from "../../../protocol/crypto/identity.ts";
import { challenges } from "../support/challenges.ts";
import { importSnapshot } from "../../../rendezvous/mod.ts";
import { convertSnapshot } from "../../../rendezvous/registry/import/snapshot.ts";
import { BadRecord } from "../../../rendezvous/registry/import/record.ts";
import { RawClient, registered, TestNode } from "../support/client.ts";
import { start, withDirectory } from "../support/server.ts";
import { keyOf, pick, put, sample, type Snapshot, withChecksum } from "./support.ts";

// cspell:ignore geheim

const KILLED = fileURLToPath(new URL("./killed.ts", import.meta.url));
const CLI = fileURLToPath(new URL("../../../cli.ts", import.meta.url));
const ADMIN = "correct horse";

/** Writes a file and imports it into a new store. */
async function imported(
  directory: string,
  text: string,
  requireChecksum = false,
): Promise<{ store: string; counts: Record<string, number>; warnings: string[] }> {
  const file = `${directory}/registry.json`;
  const store = `${directory}/store`;
  await Deno.writeTextFile(file, text);
  return { store, ...await importSnapshot({ file, store, requireChecksum }) };
}

/** An import that fails with a text, and leaves a store in which nothing is. */
async function refuses(text: string, message: RegExp, code = "invalid_argument"): Promise<void> {
  await withDirectory(async (directory) => {
    await assert.rejects(imported(directory, text), (error) => {
      assert.ok(error instanceof PilotError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
    await isEmpty(`${directory}/store`);
  });
}

async function isEmpty(store: string): Promise<void> {
  await using server = await start({ store });
  using client = await RawClient.open(server.registryAddr);
  assert.equal((await registered(client)).id, 1);
  const networks = (await client.ok({ type: "list_networks" }))["networks"];
  assert.equal((networks as unknown[]).length, 1);
}

Deno.test("an imported registry knows every node, network and relation of the old one", () =>
  withDirectory(async (directory) => {
    const snapshot = sample();
    const reachable = new TestNode(await Identity.generate());
    put(snapshot, ["nodes", "2", "public_key"], reachable.identity.publicKeyBase64);
    snapshot["pub_key_idx"] = { [keyOf(7)]: 7 };
    reachable.id = 2;
    const { store, counts, warnings } = await imported(directory, withChecksum(snapshot), true);
    assert.deepEqual(counts, {
      nodes: 3,
      silent_nodes: 1,
      networks: 2,
      members: 4,
      invites: 1,
      handshake_requests: 1,
      handshake_responses: 1,
    });
    assert.deepEqual(warnings, [
      "left out 3 trust pairs, which both nodes report again when they register (the first: trust pair 1:2)",
      "audit_log is not taken over",
    ]);
    await using server = await start({ store, adminToken: ADMIN });
    using client = await RawClient.open(server.registryAddr);
    assert.deepEqual(await client.ok({ type: "lookup", node_id: 1 }), {
      type: "lookup_ok",
      node_id: 1,
      address: "0:0000.0000.0001",
      networks: [0, 3],
      public_key: keyOf(1),
      public: true,
      polo_score: -5,
      hostname: "alpha",
      tags: ["ml", "gpu"],
      task_exec: true,
      external_id: "ann",
      version: "v1.9.0",
      real_addr: "192.0.2.1:4000",
    });
    const key = await client.ok({ type: "get_key_info", node_id: 1 });
    assert.equal(key["created_at"], "2024-12-31T22:00:00Z");
    assert.equal(key["rotated_at"], "2025-06-01T00:00:00Z");
    assert.equal(key["expires_at"], "2099-01-01T00:00:00Z");
    assert.equal(key["rotate_count"], 2);
    const signature = await reachable.sign(challenges.resolve(2, 1));
    const resolved = await client.ok({
      type: "resolve",
      node_id: 1,
      requester_id: 2,
      signature,
    });
    assert.deepEqual(resolved["lan_addrs"], ["10.0.0.5:4000"]);

    for (const [a, b, trusted] of [[1, 2, true], [1, 5, false], [2, 5, false]] as const) {
      const reply = await client.ok({ type: "check_trust", node_id: a, peer_id: b });
      assert.equal(reply["trusted"], trusted, `${a}:${b}`);
    }
    for (const [node, role] of [[1, "owner"], [2, "admin"], [7, "member"]] as const) {
      const reply = await client.ok({
        type: "get_member_role",
        network_id: 3,
        target_node_id: node,
      });
      assert.equal(reply["role"], role);
    }
    const tags = await client.ok({ type: "get_member_tags", network_id: 3, target_node_id: 2 });
    assert.deepEqual(tags["tags"], ["ops"]);
    const policy = await client.ok({ type: "get_network_policy", network_id: 3 });
    assert.deepEqual([policy["max_members"], policy["allowed_ports"], policy["description"]], [
      10,
      [80, 443],
      "the firm",
    ]);
    const expr = await client.ok({ type: "get_expr_policy", network_id: 3 });
    assert.deepEqual(expr["expr_policy"], pick(sample(), ["networks", "3", "expr_policy"]));
    const listed = (await client.ok({ type: "list_networks" }))["networks"] as Snapshot[];
    const corp = listed.find(({ id }) => id === 3)!;
    assert.equal(corp["enterprise"], true);
    assert.deepEqual(corp["rules"], pick(sample(), ["networks", "3", "rules"]));
    assert.equal(corp["created"], Date.UTC(2025, 1, 1) / 1000);

    // A join token works, and the next node and network get new numbers.
    const newcomer = await registered(client);
    assert.equal(newcomer.id, 9);
    await client.ok({
      type: "join_network",
      node_id: 9,
      network_id: 5,
      token: "sesame",
      signature: await newcomer.sign(challenges.joinNetwork(9, 5)),
    });
    // The network's own admin token works, too.
    await client.ok({
      type: "rename_network",
      network_id: 3,
      name: "firm",
      admin_token: "net admin",
    });
    const created = await client.ok({
      type: "create_network",
      admin_token: ADMIN,
      node_id: 9,
      name: "fresh",
    });
    assert.equal(created["network_id"], 6);
  }));

Deno.test("a node that was gone comes back under its number, with its memberships", () =>
  withDirectory(async (directory) => {
    const snapshot = sample();
    const gone = await TestNode.create();
    snapshot["pub_key_idx"] = { [gone.identity.publicKeyBase64]: 7 };
    const { store } = await imported(directory, withChecksum(snapshot));
    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    assert.deepEqual((await client.ok({ type: "lookup", node_id: 7 }))["networks"], [0]);
    assert.equal((await gone.register(client))["node_id"], 7);
    assert.deepEqual((await client.ok({ type: "lookup", node_id: 7 }))["networks"], [0, 3]);
  }));

Deno.test("waiting handshakes and invites come over, the last answer of each sender", () =>
  withDirectory(async (directory) => {
    const snapshot = sample();
    const nodes = new Map<number, TestNode>();
    for (const id of [1, 5]) {
      const node = await TestNode.create();
      node.id = id;
      nodes.set(id, node);
      put(snapshot, ["nodes", String(id), "public_key"], node.identity.publicKeyBase64);
    }
    snapshot["pub_key_idx"] = {};
    put(snapshot, ["networks", "3", "members"], [2, 1]);
    const { store } = await imported(directory, withChecksum(snapshot));
    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    const poll = async (id: number) => {
      const signature = await nodes.get(id)!.sign(challenges.pollHandshakes(id));
      const reply = await client.ok({ type: "poll_handshakes", node_id: id, signature });
      const requests = reply["requests"] as Snapshot[];
      const responses = reply["responses"] as Snapshot[];
      return {
        requests: requests.map((entry) => [entry["from_node_id"], entry["justification"]]),
        responses: responses.map((entry) => [entry["from_node_id"], entry["accept"]]),
      };
    };
    assert.deepEqual(await poll(5), { requests: [[2, "hello"]], responses: [] });
    assert.deepEqual(await poll(1), { requests: [], responses: [[5, true]] });
    const signature = await nodes.get(5)!.sign(challenges.pollInvites(5));
    const invites = await client.ok({ type: "poll_invites", node_id: 5, signature });
    const [invite] = invites["invites"] as Snapshot[];
    assert.deepEqual([invite?.["network_id"], invite?.["inviter_id"]], [3, 1]);
  }));

Deno.test("the checksum is checked by the text: a warning, or an error when asked for", () =>
  withDirectory(async (directory) => {
    const good = withChecksum(sample());
    const cases: [string, RegExp | undefined][] = [
      [good, undefined],
      [`${good}\n`, undefined],
      [good.replace("alpha", "gamma"), /^the checksum does not match/],
      [JSON.stringify(sample()), /^there is no checksum/],
    ];
    for (const [index, [text, warning]] of cases.entries()) {
      const place = `${directory}/${index}`;
      await Deno.mkdir(place);
      if (warning !== undefined) {
        await assert.rejects(imported(place, text, true), { code: "invalid_argument" });
      }
      const { warnings } = await imported(place, text, warning === undefined);
      assert.equal(warnings.some((line) => /checksum/.test(line)), warning !== undefined);
      if (warning !== undefined) assert.match(warnings[0]!, warning);
    }
  }));

const WRONG: [string, readonly (string | number)[], unknown, RegExp][] = [
  ["a key that is none", ["nodes", "2", "public_key"], "x", /node 2: its key is not/],
  ["a key of two nodes", ["nodes", "2", "public_key"], keyOf(1), /node 2: its key belongs/],
  ["a hostname of two nodes", ["nodes", "2", "hostname"], "alpha", /node 2: its hostname/],
  ["another id inside", ["nodes", "2", "id"], 3, /node 2: its id is 3/],
  ["a number never given out", ["next_node"], 5, /node 5: node 5 was never given out/],
  ["a number that is none", ["nodes", "x"], {}, /node x: not a number/],
  ["a tag that is none", ["nodes", "1", "tags"], ["A B"], /node 1: invalid tag/],
  ["a time that is none", ["nodes", "1", "key_created"], "now", /node 1: key_created: not/],
  ["a flag that is none", ["nodes", "1", "public"], "yes", /node 1: public: /],
  ["a key index that disagrees", ["pub_key_idx", keyOf(2)], 7, /belongs to node 2, too/],
  ["two keys of a node that is gone", ["pub_key_idx", keyOf(8)], 7, /has another key/],
  ["a network without a name", ["networks", "3", "name"], undefined, /network 3: name: /],
  ["a network name of two", ["networks", "5", "name"], "corp", /network 5: its name/],
  ["a network never given out", ["next_net"], 5, /network 5: its number/],
  ["a member twice", ["networks", "3", "members"], [1, 1], /network 3: member 1: is/],
  ["an unknown role", ["networks", "3", "member_roles", "1"], "king", /unknown role/],
  ["an impossible policy", ["networks", "3", "policy", "max_members"], -1, /network 3: invalid/],
  ["impossible rules", ["networks", "3", "rules", "links"], 0, /network 3: invalid rules/],
  ["an impossible policy document", ["networks", "3", "expr_policy"], {}, /expr_policy/],
  ["a pair of one", ["trust_pairs", 3], "1:1", /trust pair 1:1: both/],
  ["a pair of three", ["trust_pairs", 3], "1:2:3", /trust pair 1:2:3: not two/],
  ["a pair of nobody", ["trust_pairs", 3], "1:99", /node 99 was never given out/],
  [
    "a long justification",
    ["handshake_inbox", "5", 0, "justification"],
    "x".repeat(1025),
    /handshake_inbox 5: justification: longer/,
  ],
  ["an invite without a network", ["invite_inbox", "5", 0, "network_id"], undefined, /invite_in/],
  ["a later version", ["version"], 2, /snapshot: version/],
  ["no counter", ["next_node"], undefined, /snapshot: next_node/],
  ["a list for a table", ["nodes"], [], /snapshot: nodes: not an object/],
];

for (const [what, path, value, message] of WRONG) {
  Deno.test(`a snapshot with ${what} is refused by name, whole`, () => {
    const snapshot = sample();
    put(snapshot, path, value);
    return refuses(withChecksum(snapshot), message);
  });
}

Deno.test("a file that is no snapshot is refused without showing what is in it", async () => {
  await refuses('{"token":"geheim" oops}', /it is not JSON(, at position \d+)?$/);
  await refuses(withChecksum(sample()).slice(0, -200), /it is not JSON/);
  await refuses("[]", /snapshot: /);
  await refuses("", /it is not JSON/);
  await withDirectory(async (directory) => {
    const options = { file: `${directory}/none`, store: directory, requireChecksum: false };
    await assert.rejects(importSnapshot(options), { code: "not_found" });
  });
});

Deno.test("a backup that is given to import is recognized, and the error says where it belongs", async () => {
  await assert.rejects(
    withDirectory(async (directory) => {
      await imported(directory, "SQLite format 3\0 and pages");
    }),
    { code: "invalid_argument", message: /it is a database/, advice: { id: "start_on_backup" } },
  );
});

Deno.test("what has no place here is left out and reported", () => {
  const snapshot = sample();
  put(snapshot, ["nodes", "1", "hostname"], "Ann Smith");
  put(snapshot, ["nodes", "1", "real_addr"], "[fe80::1%eth0]:4000");
  put(snapshot, ["nodes", "3"], { id: 3, public_key: "" });
  put(snapshot, ["pub_key_idx", keyOf(99)], 1); // a key it had before
  put(snapshot, ["networks", "3", "members", 3], 6);
  const invite = { network_id: 4, inviter_id: 1, timestamp: new Date() };
  put(snapshot, ["invite_inbox", "5", 1], invite);
  const old = { network_id: 3, timestamp: "2020-01-01T00:00:00Z", inviter_id: 1 };
  put(snapshot, ["invite_inbox", "2"], [old]);
  const answers = Array.from({ length: 150 }, () => ({ from_node_id: 6, accept: true }));
  put(snapshot, ["handshake_responses", "2"], answers);
  const document = JSON.parse(JSON.stringify(snapshot));
  const { batch, warnings } = convertSnapshot(document, Date.now() / 1000);
  assert.deepEqual(
    batch.nodes.map(({ id, state, hostname, realAddr }) => [id, state, hostname, realAddr]),
    [[1, "live", "", ""], [2, "live", "", ""], [5, "live", "", ""], [7, "silent", "", ""]],
  );
  assert.deepEqual(warnings, [
    "left out 1 addresses of nodes that are no ip:port (the first: node 1)",
    "left out 1 hostnames that are not valid (the first: node 1)",
    "left out 1 nodes without a key (the first: node 3)",
    `left out 1 former keys (the first: pub_key_idx ${keyOf(99)})`,
    "left out 1 members without a key (the first: network 3: member 6)",
    "left out 1 expired invites (the first: invite_inbox 2)",
    "left out 1 invites of or to what is gone (the first: invite_inbox 5)",
    "left out 3 trust pairs, which both nodes report again when they register (the first: trust pair 1:2)",
    "left out 150 entries of handshake_responses of nodes without a key (the first: handshake_responses 2)",
    "audit_log is not taken over",
  ]);
});

Deno.test("networks from before there were roles get an owner, the first member", () => {
  const snapshot = sample();
  put(snapshot, ["networks", "3", "member_roles"], undefined);
  put(snapshot, ["version"], undefined);
  const { batch } = convertSnapshot(JSON.parse(JSON.stringify(snapshot)), 1);
  assert.deepEqual(
    batch.members.filter(({ network }) => network === 3).map(({ node, role }) => [node, role]),
    [[2, "owner"], [1, "member"], [7, "member"]],
  );
});

Deno.test("convertSnapshot gives rows or names a bad record, whatever it is given", () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom(null, true, 0, 1, 5, -1, 1.5, 1e300, "", "1", "1:2", "a", keyOf(1)),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom("1", "2", "5", "id", "name", "__proto__"), tie("value")),
    ),
  })).value;
  const path = fc.constantFrom(
    ...Object.keys(sample()).map((name) => [name]),
    ...Object.keys(pick(sample(), ["nodes", "1"])!).map((name) => ["nodes", "1", name]),
    ...Object.keys(pick(sample(), ["networks", "3"])!).map((name) => ["networks", "3", name]),
    ["handshake_inbox", "5", "0"],
    ["handshake_responses", "1"],
    ["invite_inbox", "5", "0"],
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(path, json), { maxLength: 3 }), (changes) => {
      const snapshot = sample();
      for (const [names, value] of changes) put(snapshot, names, value);
      try {
        const { batch } = convertSnapshot(snapshot, 1_800_000_000);
        const ids = new Set(batch.nodes.map(({ id }) => id));
        const keys = new Set(batch.nodes.map(({ key }) => key));
        assert.equal(ids.size, batch.nodes.length);
        assert.equal(keys.size, batch.nodes.length);
        assert.ok(batch.members.every(({ node }) => ids.has(node)));
        assert.ok(
          batch.trust.every(({ low, high }) => low < high && ids.has(low) && ids.has(high)),
        );
      } catch (error) {
        assert.ok(error instanceof BadRecord, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("an import goes into an empty store only, and not under a running server", () =>
  withDirectory(async (directory) => {
    const text = withChecksum(sample());
    const { store } = await imported(directory, text);
    await assert.rejects(imported(directory, text), { code: "already_exists" });
    {
      await using server = await start({ store });
      using client = await RawClient.open(server.registryAddr);
      assert.equal((await client.ok({ type: "lookup", node_id: 1 }))["hostname"], "alpha");
      await assert.rejects(imported(directory, text), { code: "invalid_state" });
    }
    const used = `${directory}/used`;
    {
      await using server = await start({ store: used });
      using client = await RawClient.open(server.registryAddr);
      await registered(client);
    }
    const file = `${directory}/registry.json`;
    await assert.rejects(importSnapshot({ file, store: used, requireChecksum: false }), {
      code: "already_exists",
    });
  }));

/** Thousands of nodes: more than SQLite keeps in memory before it begins to write. */
function large(nodes: number): Snapshot {
  const snapshot = sample();
  snapshot["next_node"] = nodes + 1;
  snapshot["pub_key_idx"] = {};
  for (let id = 1; id <= nodes; id++) {
    if (pick(snapshot, ["nodes", id]) !== undefined) continue;
    put(snapshot, ["nodes", id], { id, public_key: keyOf(id), owner: "x".repeat(200) });
  }
  return snapshot;
}

Deno.test({
  name: "an import that is killed in the middle leaves an empty store, which can be filled then",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withDirectory(async (directory) => {
      const file = `${directory}/registry.json`;
      const store = `${directory}/store`;
      await Deno.writeTextFile(file, withChecksum(large(15_000)));
      for (const rows of [0, 1, 14_999]) {
        const { signal } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "--no-check", KILLED, file, store, String(rows)],
        }).output();
        assert.equal(signal, "SIGKILL");
      }
      const wal = await Deno.stat(`${store}/registry.db-wal`);
      assert.ok(wal.size > 1_000_000, "it had begun to write");
      const { counts } = await importSnapshot({ file, store, requireChecksum: true });
      assert.equal(counts["nodes"], 15_000);
      await using server = await start({ store });
      using client = await RawClient.open(server.registryAddr);
      const last = await client.ok({ type: "lookup", node_id: 15_000 });
      assert.equal(last["public_key"], keyOf(15_000));
      assert.equal((await registered(client)).id, 15_001);
    }),
});

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", CLI, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: result.code, out: text(result.stdout), err: text(result.stderr) };
}

Deno.test("the commands import a snapshot and back the store up while its server runs", () =>
  withDirectory(async (directory) => {
    const file = `${directory}/registry.json`;
    const store = `${directory}/store`;
    await Deno.writeTextFile(file, JSON.stringify(sample()));
    const strict = await cli("rendezvous", "import", file, "--store", store, "--require-checksum");
    assert.equal(strict.code, 2);
    assert.match(strict.err, /^error: Cannot import .*: there is no checksum at its end\nhint: /);
    const done = await cli("rendezvous", "import", file, "--store", store);
    assert.equal(done.code, 0, done.err);
    assert.match(done.err, /^warning: there is no checksum at its end\nwarning: left out 3 trust/);
    assert.match(done.out, /^Imported into .*: 3 nodes, 1 silent nodes, 2 networks, 4 members/);
    const again = await cli("rendezvous", "import", file, "--store", store, "--json");
    assert.equal(again.code, 4);
    assert.equal(JSON.parse(again.err).code, "already_exists");

    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    const node = await registered(client);
    const backup = `${directory}/backup.db`;
    const made = await cli("rendezvous", "backup", backup, "--store", store, "--json");
    assert.equal(made.code, 0, made.err);
    const { data } = JSON.parse(made.out);
    assert.equal(data.nodes, 5);
    assert.equal((await cli("rendezvous", "backup", backup, "--store", store)).code, 4);
    await registered(client); // the server keeps running
    const restored = `${directory}/restored`;
    await Deno.mkdir(restored);
    await Deno.rename(backup, `${restored}/registry.db`);
    await using second = await start({ store: restored });
    using other = await RawClient.open(second.registryAddr);
    assert.equal((await node.register(other))["node_id"], node.id);
  }));
