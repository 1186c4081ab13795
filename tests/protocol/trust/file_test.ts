import assert from "node:assert/strict";
import fc from "fast-check";
import { PilotError } from "../../../protocol/errors.ts";
import { formatTrustFile, parseTrustFile, type TrustFile } from "../../../protocol/trust/file.ts";
import { HANDSHAKE_TYPES } from "../../../protocol/trust/message.ts";
import { PENDING_MAX } from "../../../protocol/trust/trust_peer.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import { range } from "../hex.ts";

const NOW = 1_700_000_000_000;
const KEY = "T9CZzNR9eJPf6ewkQU7LDZtUICMqrTDZHEZb4zy+ZcQ=";
const TIME = "2023-11-14T22:13:20.000Z";

Deno.test("TrustState.fromFile restores all four sets, and outgoing survives a restart", () => {
  const state = new TrustState();
  state.onRequest(1, { now: NOW, publicKey: range(1, 32), sharedNetwork: 3 });
  state.onRequest(2, { now: NOW, publicKey: range(2, 32), justification: "x" });
  state.onRequest(3, { now: NOW, autoApprove: true });
  state.request(4, NOW);
  state.revoke(3, NOW);
  const restored = TrustState.fromFile(state.toFile());
  assert.equal(restored.toFile(), state.toFile());
  assert.deepEqual(restored.trusted(), state.trusted());
  assert.deepEqual(restored.pending(), state.pending());
  assert.deepEqual(restored.onAccept(4, { now: NOW }), { action: "trusted" });
  const again = restored.onRequest(3, { now: NOW + 1, autoApprove: true });
  assert.deepEqual(again, { action: "pending" });
});

Deno.test("toFile writes what docs/protocol/trust.md §6 shows", () => {
  const state = new TrustState();
  const none = { trusted: [], pending: [], outgoing: [], revoked: [], owed: [], seen: [] };
  assert.equal(state.toFile(), JSON.stringify({ ...none, last_order: 0 }, null, 2) + "\n");
  state.onRequest(5, { now: NOW, sharedNetwork: 2 });
  state.onRequest(6, { now: NOW, order: 9, source: "x" });
  assert.deepEqual(JSON.parse(state.toFile()), {
    trusted: [{
      node_id: 5,
      public_key: "",
      approved_at: TIME,
      mutual: true,
      network: 2,
      source: "same_network",
    }],
    pending: [{ node_id: 6, received_at: TIME, source: "x" }],
    outgoing: [],
    revoked: [],
    owed: [{ node_id: 5, type: "handshake_accept", order: NOW }],
    seen: [{ node_id: 6, order: 9 }],
    last_order: NOW,
  });
});

Deno.test("parseTrustFile reads the file of an existing Go daemon", () => {
  const file = parseTrustFile(`{
    "trusted": [{"node_id": 7, "public_key": "${KEY}", "mutual": false,
      "approved_at": "2026-02-01T10:00:00.123456789+01:00", "network": 3, "unknown": {}}],
    "pending": null
  }`);
  assert.deepEqual(
    file.trusted.map(({ publicKey, ...rest }) => {
      assert.equal(publicKey?.length, 32);
      return rest;
    }),
    [{
      nodeId: 7,
      approvedAt: Date.UTC(2026, 1, 1, 9, 0, 0, 123),
      mutual: false,
      network: 3,
    }],
  );
  assert.deepEqual([file.pending, file.outgoing, file.revoked], [[], [], []]);
});

Deno.test("a trusted peer of the file turns mutual when it shows up", () => {
  const state = TrustState.fromFile(
    `{"trusted":[{"node_id":7,"approved_at":"${TIME}"}]}`,
  );
  const revision = state.revision;
  state.onRequest(7, { now: NOW });
  assert.equal(state.trusted()[0]?.mutual, true);
  assert.notEqual(state.revision, revision);
});

Deno.test("a pending request of a peer that the same file trusts is dropped", () => {
  const state = TrustState.fromFile(JSON.stringify({
    trusted: [{ node_id: 7, public_key: KEY, approved_at: TIME }],
    pending: [{ node_id: 7, received_at: TIME }],
  }));
  assert.deepEqual(state.pending(), []);
});

Deno.test("parseTrustFile throws invalid_argument for a damaged file", () => {
  const trusted = (change: object) =>
    JSON.stringify({
      trusted: [{ node_id: 7, public_key: KEY, approved_at: TIME, ...change }],
    });
  const pending = { node_id: 7, received_at: TIME };
  const cases: [string, string][] = [
    ["empty", ""],
    ["cut off", trusted({}).slice(0, 40)],
    ["null", "null"],
    ["array", "[]"],
    ["number", "1"],
    ["trusted no list", '{"trusted": {}}'],
    ["entry null", '{"trusted": [null]}'],
    ["node 0", trusted({ node_id: 0 })],
    ["node text", trusted({ node_id: "7" })],
    ["node too big", trusted({ node_id: 2 ** 32 })],
    ["key not base64", trusted({ public_key: "%%" })],
    ["key too short", trusted({ public_key: "aGVsbG8=" })],
    ["key number", trusted({ public_key: 5 })],
    ["time rubbish", trusted({ approved_at: "yesterday" })],
    ["time 13th month", trusted({ approved_at: "2023-13-14T22:13:20Z" })],
    ["time number", trusted({ approved_at: 5 })],
    ["mutual text", trusted({ mutual: "yes" })],
    ["network too big", trusted({ network: 65536 })],
    [
      "too many pending",
      JSON.stringify({
        pending: Array(PENDING_MAX + 1).fill(pending),
      }),
    ],
    ["outgoing without time", '{"outgoing": [{"node_id": 7}]}'],
    ["revoked without time", '{"revoked": [{"node_id": 7}]}'],
  ];
  for (const [what, json] of cases) {
    assert.throws(
      () => TrustState.fromFile(json),
      (error) =>
        error instanceof PilotError && error.code === "invalid_argument" &&
        error.hint !== undefined,
      what,
    );
  }
  assert.equal(TrustState.fromFile(trusted({})).isTrusted(7), true);
});

Deno.test("parseTrustFile throws nothing but PilotError for any JSON", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.json(),
      fc.record({ trusted: fc.array(fc.jsonValue()) }).map((value) => JSON.stringify(value)),
    ),
    (json) => {
      try {
        parseTrustFile(json);
      } catch (error) {
        assert.ok(error instanceof PilotError);
      }
    },
  ));
});

Deno.test("parseTrustFile restores any content that was formatted", () => {
  const nodeId = fc.integer({ min: 1, max: 0xffffffff });
  const time = fc.date({
    min: new Date(0),
    max: new Date("9999-01-01T00:00:00Z"),
    noInvalidDate: true,
  }).map(Number);
  const publicKey = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const order = fc.maxSafeNat();
  const noNullPrototype = true;
  const file: fc.Arbitrary<TrustFile> = fc.record({
    trusted: fc.array(fc.record({
      nodeId,
      publicKey,
      approvedAt: time,
      mutual: fc.boolean(),
      network: fc.nat(0xffff),
      source: fc.string(),
    }, { requiredKeys: ["nodeId", "approvedAt", "mutual"], noNullPrototype })),
    pending: fc.array(fc.record({
      nodeId,
      publicKey,
      justification: fc.stringMatching(/^[ -~]*$/),
      receivedAt: time,
      source: fc.stringMatching(/^[0-9a-f]{1,16}$/),
    }, {
      requiredKeys: ["nodeId", "justification", "receivedAt"],
      noNullPrototype,
    })),
    outgoing: fc.array(
      fc.record({ nodeId, requestedAt: time, order }, { noNullPrototype }),
    ),
    revoked: fc.array(fc.record({ nodeId, until: time }, { noNullPrototype })),
    owed: fc.array(fc.record({
      nodeId,
      type: fc.constantFrom(...HANDSHAKE_TYPES),
      order,
      re: order,
      text: fc.string(),
    }, { requiredKeys: ["nodeId", "type", "order", "text"], noNullPrototype })),
    seen: fc.array(fc.record({ nodeId, order }, { noNullPrototype })),
    lastOrder: order,
  }, { noNullPrototype });
  fc.assert(fc.property(file, (file) => {
    assert.deepEqual(parseTrustFile(formatTrustFile(file)), file);
  }));
});
