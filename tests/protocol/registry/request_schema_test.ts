/** How requests and replies are read, against the rules of docs/protocol/registry.md §1.3 written down once more. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type JsonObject,
  readFields,
  readReply,
  type RegistryRequest,
  signedForms,
  signedText,
} from "../../../protocol/registry/registry_message.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { challenges } from "../../rendezvous/support/challenges.ts";

const ALL = (Object.values(requests) as unknown[]).filter((value): value is RegistryRequest =>
  typeof value === "object" && value !== null && "type" in value && "fields" in value
);

/** How each kind of field has been read since the first version, by its name. */
const number = (max: number) => (value: unknown) => {
  if (typeof value !== "number") return 0;
  const whole = Math.trunc(value);
  return whole > 0 && whole <= max ? whole : 0;
};
const text = (value: unknown) => typeof value === "string" ? value : "";
const flag = (value: unknown) => value === true;
const texts = (value: unknown) =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
const asIs = (value: unknown) => value;
const READ: Readonly<Record<string, (value: unknown) => unknown>> = {
  ...Object.fromEntries(
    [
      ...["node_id", "peer_id", "requester_id", "from_node_id", "to_node_id", "target_node_id"],
      ...["inviter_id", "new_owner_id", "beacon_id", "node_a", "node_b", "protocol_version"],
    ].map((name) => [name, number(0xffffffff)]),
  ),
  network_id: number(0xffff),
  time: number(Number.MAX_SAFE_INTEGER),
  ...Object.fromEntries(
    [
      ...["public_key", "listen_addr", "owner", "version", "instance", "hostname", "purpose"],
      ...["new_public_key", "expires_at", "justification", "message", "addr", "token_code"],
      ...["name", "join_rule", "token", "network_admin_token"],
    ].map((name) => [name, text]),
  ),
  ...Object.fromEntries(
    ["relay_only", "public", "enabled", "accept", "enterprise", "ban"].map((name) => [name, flag]),
  ),
  lan_addrs: texts,
  tags: texts,
  ack: (value) => typeof value === "string" ? value : undefined,
  ...Object.fromEntries(
    [
      ...["rules", "expr_policy", "delta", "polo_score"],
      ...["max_members", "allowed_ports", "description"],
    ].map((name) => [name, asIs]),
  ),
};

/** What hostile clients put where something else belongs. */
const hostile = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.double(),
  fc.constantFrom<unknown>(
    ...[-1, -0.5, -0, 0, 0.9, 1, 7.9, 0xffff, 0x10000, 0xffffffff, 0x100000000, 2 ** 53, 1e400],
    ...["", "7", "true", "\ud800", true, false, null, undefined, [], ["x", 1, null, "y"], {}],
  ),
);

function message(request: RegistryRequest, names: readonly string[]): fc.Arbitrary<JsonObject> {
  const known = Object.fromEntries(names.map((name) => [name, hostile]));
  return fc.tuple(
    fc.record(known, { requiredKeys: [], noNullPrototype: true }),
    fc.dictionary(fc.constantFrom("__proto__", "toString", "x", "type"), hostile, {
      noNullPrototype: true,
    }),
  ).map(([fields, others]) => ({ ...others, ...fields, type: request.type }));
}

for (const request of ALL) {
  const names = Object.keys(request.fields);
  Deno.test(`${request.type}: whatever is sent is read as it always was`, () => {
    for (const name of names) assert.ok(READ[name] !== undefined, `${name} is not in this test`);
    fc.assert(fc.property(message(request, names), (sent) => {
      const expected = Object.fromEntries(
        names.map((
          name,
        ) => [name, READ[name]!(Object.hasOwn(sent, name) ? sent[name] : undefined)]),
      );
      assert.deepEqual(readFields(request, sent), expected);
    }));
  });

  Deno.test(`${request.type}: a reply has its fields, whatever has come`, () => {
    const known = Object.keys(request.reply);
    const reply = fc.record(
      Object.fromEntries([...known, "other"].map((name) => [name, hostile])),
      { requiredKeys: [], noNullPrototype: true },
    ) as fc.Arbitrary<JsonObject>;
    fc.assert(fc.property(reply, (sent) => {
      const before = structuredClone(sent);
      const read = readReply(request, sent) as JsonObject;
      assert.deepEqual(sent, before, "what has come is left alone");
      assert.equal(read["other"], sent["other"]);
      // Read again it stays what it is: so all of it is of the kinds.
      assert.deepEqual(readReply(request, read), read);
      const empty = readReply(request, {}) as JsonObject;
      for (const name of known) {
        const value = read[name];
        if (Object.hasOwn(empty, name)) assert.ok(value !== undefined, `${name} is there`);
        const expected = empty[name];
        if (expected !== undefined && value !== null && expected !== null) {
          assert.equal(typeof value, typeof expected, name);
          assert.equal(Array.isArray(value), Array.isArray(expected), name);
        }
      }
    }));
  });
}

Deno.test("fields that an object only inherits are missing", () => {
  const sent = Object.create({ node_id: 7, hostname: "x" });
  assert.deepEqual(readFields(requests.setHostname, sent), { node_id: 0, hostname: "" });
});

Deno.test("every request is signed over the text of §2.1", () => {
  const node = { node_id: 7 };
  const pair = { node_id: 7, peer_id: 9 };
  const joined = { node_id: 7, network_id: 3 };
  const member = { ...joined, target_node_id: 9 };
  const c = challenges;
  const expected: readonly [{ readonly type: string }, object, ...Uint8Array[]][] = [
    [requests.register, { public_key: "k", listen_addr: "h:1" }, c.register("h:1", "k")],
    [requests.heartbeat, node, c.heartbeat(7)],
    [requests.deregister, node, c.deregister(7)],
    [requests.releaseHold, node, c.releaseHold(7)],
    [
      ...[requests.rotateKey, { ...node, new_public_key: "k" }] as const,
      ...[c.rotateKeyTo(7, "k"), c.rotateKey(7)],
    ],
    [requests.setKeyExpiry, node, c.setKeyExpiry(7)],
    [requests.lookup, { node_id: 9, requester_id: 7 }, c.lookup(7, 9)],
    [requests.resolve, { node_id: 9, requester_id: 7 }, c.resolve(7, 9)],
    [requests.resolveHostname, { hostname: "h", requester_id: 7 }, c.resolveHostname(7, "h")],
    [requests.setHostname, node, c.setHostname(7)],
    [requests.setVisibility, node, c.setVisibility(7)],
    [requests.setTags, node, c.setTags(7)],
    [requests.setTaskExec, node, c.setTaskExec(7)],
    [requests.reportTrust, pair, c.reportTrust(7, 9)],
    [requests.revokeTrust, pair, c.revokeTrust(7, 9)],
    [requests.checkTrust, { ...pair, requester_id: 9 }, c.checkTrust(9, 7, 9)],
    [requests.requestHandshake, { from_node_id: 7, to_node_id: 9 }, c.handshake(7, 9)],
    [requests.pollHandshakes, node, c.pollHandshakes(7)],
    [requests.respondHandshake, pair, c.respondHandshake(7, 9)],
    [requests.updatePoloScore, { ...node, delta: -5.5 }, c.updatePoloScore(7, -5)],
    [requests.setPoloScore, { ...node, polo_score: 5 }, c.setPoloScore(7, 5)],
    [requests.punch, { requester_id: 7, node_a: 7, node_b: 9 }, c.punch(7, 9)],
    [requests.joinNetwork, joined, c.joinNetwork(7, 3)],
    [requests.leaveNetwork, joined, c.leaveNetwork(7, 3)],
    [
      requests.inviteToNetwork,
      { inviter_id: 7, network_id: 3, target_node_id: 9 },
      c.invite(7, 3, 9),
    ],
    [requests.pollInvites, node, c.pollInvites(7)],
    [requests.respondInvite, joined, c.respondInvite(7, 3)],
    [requests.deleteNetwork, joined, c.networkAction("delete_network", 7, 3)],
    [requests.renameNetwork, joined, c.networkAction("rename_network", 7, 3)],
    [requests.setJoinToken, joined, c.networkAction("set_join_token", 7, 3)],
    [requests.listBans, joined, c.networkAction("list_bans", 7, 3)],
    [requests.setNetworkPolicy, joined, c.networkAction("set_network_policy", 7, 3)],
    [requests.setExprPolicy, joined, c.networkAction("set_expr_policy", 7, 3)],
    [requests.setMemberTags, member, c.networkAction("set_member_tags", 7, 3, 9)],
    [requests.kickMember, member, c.networkAction("kick_member", 7, 3, 9)],
    [requests.unbanMember, member, c.networkAction("unban_member", 7, 3, 9)],
    [requests.promoteMember, member, c.networkAction("promote_member", 7, 3, 9)],
    [requests.demoteMember, member, c.networkAction("demote_member", 7, 3, 9)],
    [
      requests.transferOwnership,
      { ...joined, new_owner_id: 9 },
      c.networkAction("transfer_ownership", 7, 3, 9),
    ],
  ];
  for (const [{ type }, fields, ...forms] of expected) {
    const request = ALL.find((known) => known.type === type)!;
    assert.deepEqual(signedForms(request, readFields(request, fields)), forms, request.type);
    assert.deepEqual(signedText(request, fields), forms[0], request.type);
  }
  const rest = ALL.filter((request) => !expected.some(([known]) => known.type === request.type));
  for (const request of rest) assert.equal(signedText(request, {}), undefined, request.type);
  assert.equal(ALL.length, new Set(ALL.map(({ type }) => type)).size);
});
