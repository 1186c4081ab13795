import assert from "node:assert/strict";
import fc from "fast-check";
import { DecodeError } from "../../../protocol/errors.ts";
import * as ipc from "../../../protocol/ipc/mod.ts";
import { LIFECYCLE_EVENT_NAMES } from "../../../protocol/lifecycle_events.ts";
import { assertTotal, decoded, hex, toHex } from "../support.ts";

const u16 = fc.nat({ max: 0xffff });
const u32 = fc.nat({ max: 0xffffffff });
const text = fc.string({ unit: "grapheme", maxLength: 20 });
const address = fc.record({ network: u16, node: u32 });

type AnyCall = Pick<ipc.IpcCall<never, unknown>, "cmd" | "sub">;

/** Calls and what they may carry. */
const CALLS: readonly [AnyCall, fc.Arbitrary<unknown>][] = [
  [ipc.INFO, fc.constant({})],
  [ipc.HEALTH, fc.constant({})],
  [ipc.DEREGISTER, fc.constant({})],
  [ipc.LOOKUP, fc.record({ node: u32 })],
  [ipc.PATH, fc.record({ node: u32 })],
  [
    ipc.SUBSCRIBE_EVENTS,
    fc.record({ names: fc.array(fc.constantFrom(...LIFECYCLE_EVENT_NAMES), { maxLength: 4 }) }),
  ],
  [ipc.UNSUBSCRIBE_EVENTS, fc.record({ subscription: u32 })],
  [ipc.PING, fc.record({ address, timeoutMs: u32 })],
  [ipc.RESOLVE_HOSTNAME, fc.record({ hostname: text.filter((value) => value !== "") })],
  [ipc.HANDSHAKE_TARGET, fc.record({ hostname: text.filter((value) => value !== "") })],
  [ipc.SET_HOSTNAME, fc.record({ hostname: text })],
  [ipc.SET_VISIBILITY, fc.record({ isPublic: fc.boolean() })],
  [ipc.SET_TAGS, fc.record({ tags: fc.array(text, { maxLength: 4 }) })],
  [ipc.REQUEST_TRUST, fc.record({ node: u32, text })],
  [ipc.APPROVE_TRUST, fc.record({ node: u32 })],
  [ipc.REJECT_TRUST, fc.record({ node: u32, text })],
  [ipc.OPEN_HANDSHAKES, fc.constant({})],
  [ipc.TRUSTED_PEERS, fc.constant({})],
  [ipc.REVOKE_TRUST, fc.record({ node: u32 })],
  [
    ipc.AWAIT_TRUST,
    fc.record({ node: u32, timeoutMs: fc.nat({ max: ipc.IPC_HANDSHAKE_WAIT_MAX_MS }) }),
  ],
  [ipc.LIST_NETWORKS, fc.constant({})],
  [ipc.JOIN_NETWORK, fc.record({ network: u16, token: text })],
  [ipc.LEAVE_NETWORK, fc.record({ network: u16 })],
  [ipc.LIST_MEMBERS, fc.record({ network: u16 })],
  [ipc.INVITE, fc.record({ network: u16, node: u32 })],
  [ipc.POLL_INVITES, fc.constant({})],
  [ipc.RESPOND_INVITE, fc.record({ network: u16, accept: fc.boolean() })],
  [
    ipc.MANAGE_NETWORK,
    fc.record({
      type: text,
      fields: fc.constantFrom({}, { network_id: 3, ban: true }, { token: "t" }),
    }),
  ],
];

Deno.test("each call reads what it has written, and any bytes without an exception", () => {
  for (const [call, fields] of CALLS) {
    const { encode, decode } = call as unknown as ipc.IpcCall<unknown, unknown>;
    const plain = fields.map((value) => JSON.parse(JSON.stringify(value)));
    fc.assert(fc.property(plain, (value) => {
      assert.deepEqual(decode(encode(value)), value);
    }));
    assertTotal(decode, ...fc.sample(plain, { numRuns: 4, seed: 7 }).map(encode));
  }
});

Deno.test("no two calls share command and sub-command, and answers have the next number", () => {
  const keys = CALLS.map(([{ cmd, sub }]) => `${cmd} ${sub ?? ""}`);
  assert.equal(new Set(keys).size, keys.length);
  const known: readonly number[] = Object.values(ipc.Cmd);
  assert.deepEqual(CALLS.filter(([{ cmd }]) => !known.includes(cmd + 1)), []);
});

Deno.test("calls have the layout of existing drivers", () => {
  assert.equal(toHex(ipc.REQUEST_TRUST.encode({ node: 5, text: "hi" })), "01000000056869");
  assert.equal(toHex(ipc.AWAIT_TRUST.encode({ node: 5, timeoutMs: 1000 })), "0700000005000003e8");
  assert.equal(toHex(ipc.RESPOND_INVITE.encode({ network: 3, accept: true })), "07000301");
  assert.equal(toHex(ipc.LOOKUP.encode({ node: 5 })), "00000005");
  assert.equal(toHex(ipc.SET_VISIBILITY.encode({ isPublic: true })), "01");
});

Deno.test("calls cut short say what is missing in the words of existing daemons", () => {
  const message = (result: unknown) => {
    assert.ok(result instanceof DecodeError);
    return result.message;
  };
  assert.equal(message(ipc.REQUEST_TRUST.decode(hex("01"))), "handshake request: missing node_id");
  assert.equal(
    message(ipc.REVOKE_TRUST.decode(hex("06000000"))),
    "handshake revoke: missing node_id",
  );
  assert.equal(message(ipc.JOIN_NETWORK.decode(hex("02"))), "network join: missing network_id");
  assert.equal(message(ipc.LOOKUP.decode(hex("000000"))), "lookup: missing node_id");
  assert.equal(message(ipc.SET_VISIBILITY.decode(hex(""))), "set_visibility: missing value");
  assert.equal(message(ipc.RESOLVE_HOSTNAME.decode(hex(""))), "resolve_hostname: missing hostname");
});

Deno.test("a wait for trust is cut to 30 s", () => {
  assert.deepEqual(decoded(ipc.AWAIT_TRUST.decode(hex("0700000005ffffffff"))), {
    node: 5,
    timeoutMs: 30_000,
  });
});

Deno.test("tags are an array of strings and nothing else", () => {
  for (const json of ["", "{}", '"a"', "[1]", '["a",null]', "null"]) {
    const result = ipc.SET_TAGS.decode(ipc.encodeText(json));
    assert.ok(result instanceof DecodeError, json);
    assert.equal(result.message, "set_tags: invalid JSON");
  }
});
