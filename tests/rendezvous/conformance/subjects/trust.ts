/** Trust, handshakes, the beacon directory, punching, polo: docs/protocol/registry.md §4.3, §4.4, §4.6, §4.7. */

import { WHOLE_BY } from "../../support/whole.ts";
import { challenges } from "../../support/challenges.ts";
import { type Auth, MASKED, NOBODY, type Subject } from "../subject.ts";
import type { World } from "../world.ts";

const TIME = Date.UTC(2026, 0, 1) / 1000;

/** Signed by the owner. */
function byOwner(challenge: (world: World) => Uint8Array, isAdminEnough: boolean = false): Auth {
  return { kind: "node", by: ({ owner }) => owner, challenge, isAdminEnough };
}

/** The stranger asks the owner for trust. */
async function ask({ client, owner, stranger }: World): Promise<void> {
  await client.ok({
    ...{ type: "request_handshake", from_node_id: stranger.id, to_node_id: owner.id },
    justification: "please",
    signature: await stranger.sign(challenges.handshake(stranger.id, owner.id)),
  });
}

/** docs/protocol/registry.md §4.3, §4.4, §4.6, §4.7. */
export const TRUST_SUBJECTS: readonly Subject[] = [
  {
    type: "report_trust",
    auth: byOwner(({ owner, open }) => challenges.reportTrust(owner.id, open.id)),
    fields: ({ owner, open }) => ({ node_id: owner.id, peer_id: open.id }),
    reply: () => ({}),
    refusals: [{
      what: "unknown peer",
      fields: () => ({ peer_id: NOBODY }),
      challenge: ({ owner }) => challenges.reportTrust(owner.id, NOBODY),
      error: `node ${NOBODY}: node not found`,
    }],
  },
  {
    type: "revoke_trust",
    auth: byOwner(({ owner, member }) => challenges.revokeTrust(owner.id, member.id)),
    fields: ({ owner, member }) => ({ node_id: owner.id, peer_id: member.id }),
    reply: () => ({}),
    refusals: [{
      what: "no pair",
      fields: ({ open }) => ({ peer_id: open.id }),
      challenge: ({ owner, open }) => challenges.revokeTrust(owner.id, open.id),
      error: MASKED,
    }],
  },
  {
    type: "check_trust",
    auth: { kind: "none" },
    fields: ({ owner, member }) => ({
      node_id: owner.id,
      peer_id: member.id,
      requester_id: member.id,
      [WHOLE_BY]: member,
    }),
    reply: () => ({ trusted: true }),
  },
  {
    type: "request_handshake",
    auth: byOwner(({ owner, stranger }) => challenges.handshake(owner.id, stranger.id)),
    fields: ({ owner, stranger }) => ({
      from_node_id: owner.id,
      to_node_id: stranger.id,
      justification: "please",
    }),
    reply: () => ({ status: "delivered" }),
    refusals: [
      {
        what: "unknown target",
        fields: () => ({ to_node_id: NOBODY }),
        challenge: ({ owner }) => challenges.handshake(owner.id, NOBODY),
        error: `node ${NOBODY}: node not found`,
      },
      {
        what: "a justification above the limit",
        fields: () => ({ justification: "x".repeat(1025) }),
        error: MASKED,
      },
    ],
  },
  {
    type: "poll_handshakes",
    auth: byOwner(({ owner }) => challenges.pollHandshakes(owner.id)),
    before: ask,
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: ({ stranger }) => ({
      requests: [{
        from_node_id: stranger.id,
        justification: "please",
        timestamp: TIME,
        public_key: stranger.identity.publicKeyBase64,
      }],
      responses: [],
    }),
  },
  {
    type: "respond_handshake",
    auth: byOwner(({ owner, stranger }) => challenges.respondHandshake(owner.id, stranger.id)),
    before: ask,
    fields: ({ owner, stranger }) => ({
      node_id: owner.id,
      peer_id: stranger.id,
      accept: true,
    }),
    reply: ({ stranger }) => ({ accept: true, peer_id: stranger.id }),
  },
  {
    type: "beacon_register",
    auth: { kind: "none" },
    fields: () => ({ beacon_id: 7, addr: "203.0.113.7:9001" }),
    reply: () => ({ beacon_id: 7 }),
    refusals: [
      { what: "no number", fields: () => ({ beacon_id: 0 }), error: "beacon_id required" },
      { what: "no address", fields: () => ({ addr: "" }), error: "addr required" },
    ],
  },
  {
    type: "beacon_list",
    auth: { kind: "none" },
    before: async ({ client }) => {
      await client.ok({ type: "beacon_register", beacon_id: 7, addr: "203.0.113.7:9001" });
    },
    fields: () => ({}),
    reply: () => ({ beacons: [{ id: 7, addr: "203.0.113.7:9001" }], time: TIME * 1000 }),
  },
  {
    type: "punch",
    auth: byOwner(({ owner, member }) => challenges.punch(owner.id, member.id)),
    fields: ({ owner, member }) => ({
      requester_id: owner.id,
      node_a: owner.id,
      node_b: member.id,
    }),
    reply: ({ owner, member }) => ({
      node_a: owner.id,
      node_a_addr: "127.0.0.1:4000",
      node_b: member.id,
      node_b_addr: "127.0.0.1:4000",
    }),
    refusals: [
      {
        what: "two others",
        fields: ({ member, open }) => ({ node_a: member.id, node_b: open.id }),
        challenge: ({ member, open }) => challenges.punch(member.id, open.id),
        error: MASKED,
      },
      {
        what: "a private node without trust",
        fields: ({ stranger }) => ({ node_b: stranger.id }),
        challenge: ({ owner, stranger }) => challenges.punch(owner.id, stranger.id),
        error: MASKED,
      },
    ],
  },
  {
    type: "get_polo_score",
    auth: { kind: "none" },
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: ({ owner }) => ({ node_id: owner.id, address: "0:0000.0000.0001", polo_score: 0 }),
    refusals: [{
      what: "unknown node",
      fields: () => ({ node_id: NOBODY }),
      error: `node ${NOBODY} not found`,
    }],
  },
  {
    type: "update_polo_score",
    auth: {
      ...byOwner(({ owner }) => challenges.updatePoloScore(owner.id, 5), true),
      isOpenWhenLax: true,
    } as Auth,
    fields: ({ owner }) => ({ node_id: owner.id, delta: 5 }),
    reply: ({ owner }) => ({ node_id: owner.id, address: "0:0000.0000.0001", polo_score: 5 }),
    refusals: [
      { what: "no step", fields: () => ({ delta: undefined }), error: MASKED },
      {
        what: "a step above the limit",
        fields: () => ({ delta: 1_000_001 }),
        error: "invalid delta: must be between -1000000 and 1000000",
      },
    ],
  },
  {
    type: "set_polo_score",
    auth: {
      ...byOwner(({ owner }) => challenges.setPoloScore(owner.id, -7), true),
      isOpenWhenLax: true,
    } as Auth,
    fields: ({ owner }) => ({ node_id: owner.id, polo_score: -7 }),
    reply: ({ owner }) => ({ node_id: owner.id, address: "0:0000.0000.0001", polo_score: -7 }),
    refusals: [{ what: "no score", fields: () => ({ polo_score: "many" }), error: MASKED }],
  },
];
