import assert from "node:assert/strict";
import {
  MAX_NAME_PROVIDERS,
  MAX_NAME_RECORDS,
  MAX_NAME_RECORDS_PER_NODE,
  NAME_TTL_MS,
  NameRecords,
} from "../../../daemon/service/nameserver_records.ts";
import {
  encodeNameReply,
  MAX_NAME_BYTES,
  MAX_NAME_REPLY_BYTES,
  type NameRecord,
} from "../../../protocol/service/nameserver_text.ts";

const SELF = 1;
const by = (node: number) => ({ node, self: SELF });
const a = (name: string, node: number, network = 0): NameRecord => {
  return { type: "A", name, address: { network, node } };
};
const n = (name: string, network: number): NameRecord => ({ type: "N", name, network });
const s = (name: string, node: number, network = 0, port = 80): NameRecord => {
  return { type: "S", name, address: { network: 0, node }, network, port };
};

Deno.test("records live five minutes from the last registration, with or without a sweep", () => {
  const records = new NameRecords();
  assert.equal(records.register(a("x", 2), by(2), 0), undefined);
  assert.equal(records.register(s("x", 2), by(2), 0), undefined);
  assert.equal(records.register(n("x", 9), by(2), 0), undefined);
  assert.equal(records.register(a("x", 2), by(2), 1000), undefined);
  const kinds = (now: number) => [
    records.query({ type: "A", name: "x" }, now).kind,
    records.query({ type: "N", name: "x" }, now).kind,
    records.query({ type: "S", network: 0, port: 80 }, now),
  ];
  const provider = { kind: "S", providers: [s("x", 2)] };
  assert.deepEqual(kinds(NAME_TTL_MS - 1), ["A", "N", provider]);
  assert.deepEqual(kinds(NAME_TTL_MS), ["A", "error", { kind: "S", providers: [] }]);
  assert.deepEqual(kinds(NAME_TTL_MS + 1000)[0], "error");
  records.sweep(NAME_TTL_MS);
  assert.equal(records.size, 1);
  records.sweep(NAME_TTL_MS + 1000);
  assert.equal(records.size, 0);
});

Deno.test("addresses and services are registered by their own node only", () => {
  const records = new NameRecords();
  const refused = "cannot register address for another node";
  assert.equal(records.register(a("x", 3), by(2), 0), refused);
  assert.equal(records.register(a("x", 3), by(SELF), 0), refused);
  assert.equal(
    records.register(s("x", 3), by(2), 0),
    "cannot register service for another node",
  );
  assert.equal(records.size, 0);
  // The node counts, whatever the network: an agent has an address in each of its own.
  assert.equal(records.register(a("x", 2, 7), by(2), 0), undefined);
});

Deno.test("a name that another node holds is refused until it expires", () => {
  const records = new NameRecords();
  records.register(a("x", 2), by(2), 0);
  const refused = 'name "x" is registered by another node';
  assert.equal(records.register(a("x", 3), by(3), NAME_TTL_MS - 1), refused);
  assert.equal(records.register(a("x", SELF), by(SELF), 0), refused);
  assert.equal(records.register(a("x", 2, 7), by(2), 0), undefined);
  assert.deepEqual(records.query({ type: "A", name: "x" }, 0), {
    kind: "A",
    name: "x",
    address: { network: 7, node: 2 },
  });
  assert.equal(records.register(a("x", 3), by(3), NAME_TTL_MS), undefined);
  assert.equal(records.size, 1);
  // Names of addresses, networks and services do not meet.
  assert.equal(records.register(n("x", 1), by(4), 0), undefined);
  assert.equal(records.register(s("x", 4), by(4), 0), undefined);
});

Deno.test("a network name belongs to its first registrant, and to who runs the nameserver", () => {
  const records = new NameRecords();
  assert.equal(records.register(n("lab", 7), by(2), 0), undefined);
  assert.equal(
    records.register(n("lab", 8), by(3), 0),
    'name "lab" is registered by another node',
  );
  assert.equal(records.register(n("lab", 9), by(2), 0), undefined);
  assert.equal(records.register(n("lab", 10), by(SELF), 0), undefined);
  assert.match(String(records.register(n("lab", 9), by(2), 0)), /another node/);
  assert.deepEqual(records.query({ type: "N", name: "lab" }, 0), {
    kind: "N",
    name: "lab",
    network: 10,
  });
  // Read from a file that does not say whose it is: whoever comes first.
  records.restore({ record: n("old", 1), owner: 0 }, 0);
  assert.equal(records.register(n("old", 2), by(3), 0), undefined);
  assert.match(String(records.register(n("old", 3), by(2), 0)), /another node/);
});

Deno.test("names that could be taken for others are refused, whatever they name", () => {
  const records = new NameRecords();
  const refused = [
    ...["SVC", "Svc", "svc.", ".svc", "a..b", "..", ".", "-", "-a", "a-", "a.-b", "a_b"],
    ...["svc\u200b", "svc\u202e", "\u0455vc", "é", "x".repeat(64), "x.".repeat(126) + "yyy"],
  ];
  for (const name of refused) {
    for (const record of [a(name, 2), n(name, 1), s(name, 2)]) {
      assert.match(String(records.register(record, by(2), 0)), /^invalid name: /, name);
    }
  }
  assert.equal(records.size, 0);
  for (const name of ["svc", "a.b-c.d", "5", "x".repeat(63), "x.".repeat(126) + "y"]) {
    assert.equal(records.register(a(name, 2), by(2), 0), undefined, name);
  }
});

Deno.test("a node has one place among the providers of a service, whatever networks it claims", () => {
  const records = new NameRecords();
  const claimed = (network: number): NameRecord => {
    return { type: "S", name: "x", address: { network, node: 2 }, network: 9, port: 80 };
  };
  for (let network = 0; network < 200; network++) {
    assert.equal(records.register(claimed(network), by(2), 0), undefined);
  }
  assert.equal(records.size, 1);
  const reply = records.query({ type: "S", network: 9, port: 80 }, 0);
  assert.deepEqual(reply, { kind: "S", providers: [claimed(199)] });
});

Deno.test("a provider that registers again is listed once, under its last name", () => {
  const records = new NameRecords();
  records.register(s("one", 2), by(2), 0);
  records.register(s("other", 3), by(3), 0);
  records.register(s("two", 2), by(2), 0);
  records.register(s("elsewhere", 2, 0, 81), by(2), 0);
  records.register(s("elsewhere", 2, 1, 80), by(2), 0);
  const reply = records.query({ type: "S", network: 0, port: 80 }, 0);
  assert.deepEqual(reply, { kind: "S", providers: [s("two", 2), s("other", 3)] });
});

Deno.test("what one node registers, all together and the providers of a service are bounded", () => {
  const records = new NameRecords();
  for (let i = 0; i < MAX_NAME_RECORDS_PER_NODE; i++) {
    assert.equal(records.register(a(`n${i}`, 2), by(2), 0), undefined);
  }
  assert.match(String(records.register(a("more", 2), by(2), 0)), /^too many records of this node/);
  assert.equal(records.register(a("n0", 2), by(2), 0), undefined);
  assert.equal(records.register(a("more", 3), by(3), 0), undefined);
  records.sweep(NAME_TTL_MS);
  assert.equal(records.register(a("more", 2), by(2), NAME_TTL_MS), undefined);

  const providers = new NameRecords();
  const name = `${"n.".repeat((MAX_NAME_BYTES - 1) / 2)}n`;
  for (let i = 0; i < MAX_NAME_PROVIDERS; i++) {
    const node = 0xfffffff0 - i;
    assert.equal(providers.register(s(name, node, 0, 65535), by(node), 0), undefined);
  }
  assert.match(String(providers.register(s("x", 2, 0, 65535), by(2), 0)), /^too many providers/);
  const reply = providers.query({ type: "S", network: 0, port: 65535 }, 0);
  const encoded = new TextDecoder().decode(encodeNameReply(reply));
  assert.equal(encoded.split("\n").length, MAX_NAME_PROVIDERS);
  assert.ok(encoded.length <= MAX_NAME_REPLY_BYTES);

  const full = new NameRecords();
  for (let i = 0; i < MAX_NAME_RECORDS; i++) {
    assert.equal(full.register(a(`n${i}`, i + 2), by(i + 2), 0), undefined);
  }
  assert.match(String(full.register(a("x", 1), by(1), 0)), /^nameserver is full/);
  assert.equal(full.register(a("n5", 7), by(7), 0), undefined);
  assert.equal(full.size, MAX_NAME_RECORDS);
});

Deno.test("the revision follows the content, not the refreshes", () => {
  const records = new NameRecords();
  let seen = records.revision;
  const changes = (act: () => void) => {
    act();
    const changed = records.revision !== seen;
    seen = records.revision;
    return changed;
  };
  assert.equal(changes(() => records.register(a("x", 2), by(2), 0)), true);
  assert.equal(changes(() => records.register(a("x", 2), by(2), 1)), false);
  assert.equal(changes(() => records.register(a("x", 2, 3), by(2), 1)), true);
  assert.equal(changes(() => records.register(n("x", 2), by(2), 1)), true);
  assert.equal(changes(() => records.register(n("x", 2), by(2), 1)), false);
  assert.equal(changes(() => records.register(n("x", 2), by(SELF), 1)), true);
  assert.equal(changes(() => records.register(s("x", 2), by(2), 1)), true);
  assert.equal(changes(() => records.register(s("x", 2), by(2), 1)), false);
  assert.equal(changes(() => records.register(s("y", 2), by(2), 1)), true);
  assert.equal(changes(() => records.sweep(2)), false);
  assert.equal(changes(() => records.sweep(NAME_TTL_MS + 1)), true);
});
