/** Identity, lookup, names, visibility: docs/protocol/registry.md §4.1, §4.2. */

import { WHOLE_BY } from "../../support/whole.ts";
import { challenges } from "../../support/challenges.ts";
import type { TestNode } from "../../support/client.ts";
import { type Auth, type Fields, MASKED, NOBODY, type Refusal, type Subject } from "../subject.ts";
import type { World } from "../world.ts";

const TIME = Date.UTC(2026, 0, 1) / 1000;
const owner = ({ owner }: World): TestNode => owner;

/** Signed by the owner over a text that names it. */
function byOwner(
  challenge: (node: number) => Uint8Array,
  isAdminEnough: boolean = false,
): Auth {
  return {
    kind: "node",
    by: owner,
    challenge: (world) => challenge(world.owner.id),
    isAdminEnough,
  };
}

function address(node: number, network: number = 0): string {
  const hex = node.toString(16).toUpperCase().padStart(8, "0");
  const net = network.toString(16).toUpperCase().padStart(4, "0");
  return `${network}:${net}.${hex.slice(0, 4)}.${hex.slice(4)}`;
}

/** The same request about a node that does not exist. */
function unknownNode(challenge: (node: number) => Uint8Array): Refusal {
  return {
    what: "unknown node",
    fields: () => ({ node_id: NOBODY }),
    challenge: () => challenge(NOBODY),
    error: `node ${NOBODY}: node not found`,
  };
}

const NO_NODE: Refusal = {
  what: "no node",
  fields: () => ({ node_id: undefined }),
  error: "node 0: node not found",
};
const SENSELESS_NODE: Refusal = {
  what: "a node that is no number",
  fields: () => ({ node_id: "one" }),
  error: "node 0: node not found",
};

function lookedUp(node: TestNode, extra: Fields): Fields {
  return {
    node_id: node.id,
    address: address(node.id),
    networks: [0],
    public_key: node.identity.publicKeyBase64,
    public: false,
    polo_score: 0,
    ...extra,
  };
}

/** docs/protocol/registry.md §4.1 and §4.2. */
export const NODE_SUBJECTS: readonly Subject[] = [
  {
    type: "heartbeat",
    auth: byOwner(challenges.heartbeat),
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: () => ({ time: TIME }),
    refusals: [unknownNode(challenges.heartbeat), NO_NODE, SENSELESS_NODE],
  },
  {
    type: "deregister",
    auth: byOwner(challenges.deregister, true),
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: () => ({}),
  },
  {
    type: "release_hold",
    auth: byOwner(challenges.releaseHold, true),
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: ({ owner }) => ({ node_id: owner.id }),
  },
  {
    type: "rotate_key",
    auth: byOwner(challenges.rotateKey),
    fields: ({ owner }) => ({ node_id: owner.id, new_public_key: newKey(1) }),
    reply: ({ owner }) => ({
      node_id: owner.id,
      address: address(owner.id),
      public_key: newKey(1),
    }),
    refusals: [
      unknownNode(challenges.rotateKey),
      {
        what: "a key that is none",
        fields: () => ({ new_public_key: "AAAA" }),
        error: "invalid new_public_key: not the base64 of 32 bytes",
      },
    ],
  },
  {
    type: "set_key_expiry",
    auth: byOwner(challenges.setKeyExpiry, true),
    fields: ({ owner }) => ({ node_id: owner.id, expires_at: "2027-01-01T00:00:00Z" }),
    reply: ({ owner }) => ({ node_id: owner.id, expires_at: "2027-01-01T00:00:00Z" }),
    refusals: [
      unknownNode(challenges.setKeyExpiry),
      {
        what: "in the past",
        fields: () => ({ expires_at: "2025-01-01T00:00:00Z" }),
        error: MASKED,
      },
    ],
  },
  {
    type: "get_key_info",
    auth: { kind: "none" },
    fields: ({ owner }) => ({ node_id: owner.id }),
    reply: ({ owner }) => ({
      node_id: owner.id,
      created_at: "2026-01-01T00:00:00Z",
      rotate_count: 0,
      key_age_days: 0,
    }),
    refusals: [unknownNode(challenges.heartbeat)],
  },
  {
    type: "lookup",
    auth: { kind: "none" },
    fields: ({ open }) => ({ node_id: open.id }),
    reply: ({ open }) =>
      lookedUp(open, { public: true, version: "v1", real_addr: "127.0.0.1:4000" }),
    refusals: [unknownNode(challenges.heartbeat), NO_NODE, SENSELESS_NODE],
  },
  {
    type: "resolve",
    auth: {
      kind: "node",
      by: ({ member }) => member,
      challenge: ({ member, owner }) => challenges.resolve(member.id, owner.id),
    },
    fields: ({ member, owner }) => ({ node_id: owner.id, requester_id: member.id }),
    reply: ({ owner }) => ({
      node_id: owner.id,
      real_addr: "127.0.0.1:4000",
      key_age_days: 0,
      public_key: owner.identity.publicKeyBase64,
      lan_addrs: ["10.0.0.1:4000"],
    }),
    refusals: [
      {
        what: "a private node without trust",
        fields: ({ stranger }) => ({ node_id: stranger.id }),
        challenge: ({ member, stranger }) => challenges.resolve(member.id, stranger.id),
        error: MASKED,
      },
      {
        what: "an unknown node",
        fields: () => ({ node_id: NOBODY }),
        challenge: ({ member }) => challenges.resolve(member.id, NOBODY),
        error: `node ${NOBODY}: node not found`,
      },
      {
        what: "an unknown requester",
        fields: () => ({ requester_id: NOBODY }),
        challenge: ({ owner }) => challenges.resolve(NOBODY, owner.id),
        error: MASKED,
      },
    ],
  },
  {
    type: "resolve_hostname",
    auth: { kind: "none" },
    fields: ({ member }) => ({
      hostname: "owner",
      requester_id: member.id,
      [WHOLE_BY]: member,
    }),
    reply: ({ owner }) => ({
      node_id: owner.id,
      address: address(owner.id),
      public: false,
      hostname: "owner",
    }),
    refusals: [
      { what: "no name", fields: () => ({ hostname: "" }), error: "hostname required" },
      {
        what: "an unknown name",
        fields: () => ({ hostname: "nobody" }),
        error: 'hostname "nobody" not found',
      },
      {
        what: "a private name for a stranger",
        fields: ({ stranger }) => ({ requester_id: stranger.id, [WHOLE_BY]: stranger }),
        error: 'hostname "owner" not found',
      },
      {
        what: "a private name for who only names a friend",
        fields: () => ({ [WHOLE_BY]: undefined }),
        error: 'hostname "owner" not found',
      },
    ],
  },
  {
    type: "set_hostname",
    auth: byOwner(challenges.setHostname, true),
    fields: ({ owner }) => ({ node_id: owner.id, hostname: "other" }),
    reply: ({ owner }) => ({ node_id: owner.id, hostname: "other" }),
    refusals: [
      unknownNode(challenges.setHostname),
      {
        what: "a name that is taken",
        fields: () => ({ hostname: "member" }),
        error: ({ member }) => `hostname "member" already in use by node ${member.id}`,
      },
      {
        what: "a name that is none",
        fields: () => ({ hostname: "-no-" }),
        error: "invalid hostname: use lowercase letters, digits and inner hyphens",
      },
    ],
  },
  {
    type: "set_visibility",
    auth: byOwner(challenges.setVisibility, true),
    fields: ({ owner }) => ({ node_id: owner.id, public: true }),
    reply: ({ owner }) => ({ node_id: owner.id, visibility: "public" }),
    refusals: [unknownNode(challenges.setVisibility)],
  },
  {
    type: "set_tags",
    auth: byOwner(challenges.setTags, true),
    fields: ({ owner }) => ({ node_id: owner.id, tags: ["#ml", "gpu", "ml"] }),
    reply: ({ owner }) => ({ node_id: owner.id, tags: ["ml", "gpu"] }),
    refusals: [
      unknownNode(challenges.setTags),
      {
        what: "too many",
        fields: () => ({ tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }),
        error: "too many tags (max 10)",
      },
      {
        what: "one too long",
        fields: () => ({ tags: ["t".repeat(33)] }),
        // Repeated as far as it may be long.
        error: `tag "${"t".repeat(32)}" too long (max 32 chars)`,
      },
    ],
  },
  {
    type: "set_task_exec",
    auth: byOwner(challenges.setTaskExec, true),
    fields: ({ owner }) => ({ node_id: owner.id, enabled: true }),
    reply: ({ owner }) => ({ node_id: owner.id, task_exec: true }),
    refusals: [unknownNode(challenges.setTaskExec)],
  },
];

/** A key that nobody has. */
export function newKey(byte: number): string {
  return btoa(String.fromCharCode(...new Uint8Array(32).fill(byte)));
}
