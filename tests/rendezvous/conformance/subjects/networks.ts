/** Networks, their members and policies: docs/protocol/registry.md §4.5. */

import { challenges } from "../../support/challenges.ts";
import { type Auth, MASKED, NOBODY, type Refusal, type Subject } from "../subject.ts";
import { ADMIN, JOIN_TOKEN, type World } from "../world.ts";

const TIME = Date.UTC(2026, 0, 1) / 1000;
type Action = Parameters<typeof challenges.networkAction>[0];

/** A member with a role does it in the enterprise network, to a target if there is one. */
function byRole(action: Action, target?: (world: World) => number): Auth {
  return {
    kind: "role",
    challenge: (world, node) =>
      challenges.networkAction(action, node, world.enterprise, target?.(world)),
  };
}

const NO_NETWORK: Refusal = {
  what: "unknown network",
  fields: () => ({ network_id: 999, admin_token: ADMIN }),
  error: "network 999: network not found",
};

function backbone(error: string): Refusal {
  return { what: "the backbone", fields: () => ({ network_id: 0, admin_token: ADMIN }), error };
}

/** The fields of a request by the owner in the enterprise network. */
function inEnterprise(
  more: (world: World) => Record<string, unknown> = () => ({}),
): Subject["fields"] {
  return (world) => ({
    node_id: world.owner.id,
    network_id: world.enterprise,
    ...more(world),
  });
}

const PLAIN = { name: "plain", join_rule: "token", enterprise: false };
const policy = (changes: Record<string, unknown>) => ({
  max_members: 0,
  allowed_ports: [],
  description: "",
  ...changes,
});

/** What a request by role says of the member it is about. */
const aboutMember = inEnterprise(({ member }) => ({ target_node_id: member.id }));
const toMember = (action: Action) => byRole(action, ({ member }) => member.id);

/** Makes the member an administrator. */
async function promote({ client, enterprise, member }: World): Promise<void> {
  const request = { type: "promote_member", network_id: enterprise, target_node_id: member.id };
  await client.ok({ ...request, admin_token: ADMIN });
}

/** docs/protocol/registry.md §4.5. */
export const NETWORK_SUBJECTS: readonly Subject[] = [
  {
    type: "create_network",
    auth: { kind: "admin" },
    fields: ({ owner }) => ({ node_id: owner.id, name: "third" }),
    reply: () => ({ network_id: 3, name: "third", enterprise: false }),
    refusals: [
      { what: "no name", fields: () => ({ name: "" }), error: "network name required" },
      {
        what: "a name that is taken",
        fields: () => ({ name: "plain" }),
        error: 'network "plain" already exists',
      },
      {
        what: "an invite rule without the flag",
        fields: () => ({ join_rule: "invite" }),
        error: "enterprise feature: invite-only networks require the enterprise flag",
      },
      {
        what: "unknown creator",
        fields: () => ({ node_id: NOBODY }),
        error: `node ${NOBODY}: node not found`,
      },
    ],
  },
  {
    type: "join_network",
    auth: {
      kind: "node",
      by: ({ stranger }) => stranger,
      challenge: ({ stranger, network }) => challenges.joinNetwork(stranger.id, network),
      isAdminEnough: "lax",
    },
    fields: ({ stranger, network }) => ({
      node_id: stranger.id,
      network_id: network,
      token: JOIN_TOKEN,
    }),
    reply: ({ network }) => ({ network_id: network, address: "1:0001.0000.0003" }),
    refusals: [
      {
        what: "wrong join token",
        fields: () => ({ token: "wrong" }),
        error: ({ network }) => `invalid token for network ${network}`,
      },
      {
        what: "the backbone",
        fields: () => ({ network_id: 0 }),
        error: "cannot join the backbone network",
      },
    ],
  },
  {
    type: "leave_network",
    auth: {
      kind: "node",
      by: ({ member }) => member,
      challenge: ({ member, network }) => challenges.leaveNetwork(member.id, network),
      isAdminEnough: true,
    },
    fields: ({ member, network }) => ({ node_id: member.id, network_id: network }),
    reply: ({ network }) => ({ network_id: network }),
    refusals: [{
      what: "the backbone",
      fields: () => ({ network_id: 0 }),
      error: "cannot leave the backbone network",
    }],
  },
  {
    type: "delete_network",
    auth: byRole("delete_network"),
    fields: inEnterprise(),
    reply: ({ enterprise }) => ({ network_id: enterprise }),
    refusals: [NO_NETWORK, backbone("cannot delete the backbone network")],
  },
  {
    type: "rename_network",
    auth: byRole("rename_network"),
    fields: inEnterprise(() => ({ name: "renamed" })),
    reply: ({ enterprise }) => ({ network_id: enterprise, name: "renamed" }),
    refusals: [
      NO_NETWORK,
      backbone("cannot rename the backbone network"),
      {
        what: "a name that is taken",
        fields: () => ({ name: "plain" }),
        error: 'network "plain" already exists',
      },
    ],
  },
  {
    type: "set_network_enterprise",
    auth: { kind: "admin" },
    fields: ({ network }) => ({ network_id: network, enterprise: true }),
    reply: ({ network }) => ({ network_id: network, enterprise: true }),
    refusals: [NO_NETWORK, backbone("cannot set enterprise on the backbone network")],
  },
  {
    type: "list_networks",
    auth: { kind: "none" },
    fields: () => ({}),
    reply: ({ network, enterprise }) => ({
      networks: [
        {
          ...{ id: 0, name: "backbone", members: 4, join_rule: "open", enterprise: false },
          created: 0,
        },
        { id: network, ...PLAIN, members: 2, created: TIME },
        {
          ...{ id: enterprise, name: "invited", members: 2, join_rule: "invite" },
          ...{ enterprise: true, created: TIME },
        },
      ],
    }),
  },
  {
    type: "invite_to_network",
    auth: {
      kind: "node",
      by: ({ owner }) => owner,
      challenge: ({ owner, enterprise, stranger }) =>
        challenges.invite(owner.id, enterprise, stranger.id),
      isAdminEnough: true,
    },
    fields: ({ owner, enterprise, stranger }) => ({
      network_id: enterprise,
      inviter_id: owner.id,
      target_node_id: stranger.id,
    }),
    reply: ({ enterprise, stranger }) => ({
      network_id: enterprise,
      target_node_id: stranger.id,
    }),
    refusals: [
      {
        what: "oneself",
        fields: ({ owner }) => ({ target_node_id: owner.id }),
        challenge: ({ owner, enterprise }) => challenges.invite(owner.id, enterprise, owner.id),
        error: "cannot invite yourself",
      },
      {
        what: "a member",
        fields: ({ member }) => ({ target_node_id: member.id }),
        challenge: ({ owner, enterprise, member }) =>
          challenges.invite(owner.id, enterprise, member.id),
        error: ({ member, enterprise }) =>
          `node ${member.id} is already a member of network ${enterprise}`,
      },
    ],
  },
  {
    type: "poll_invites",
    auth: {
      kind: "node",
      by: ({ stranger }) => stranger,
      challenge: ({ stranger }) => challenges.pollInvites(stranger.id),
    },
    before: invite,
    fields: ({ stranger }) => ({ node_id: stranger.id }),
    reply: ({ owner, enterprise }) => ({
      invites: [{ network_id: enterprise, inviter_id: owner.id, timestamp: TIME }],
    }),
  },
  {
    type: "respond_invite",
    auth: {
      kind: "node",
      by: ({ stranger }) => stranger,
      challenge: ({ stranger, enterprise }) => challenges.respondInvite(stranger.id, enterprise),
    },
    before: invite,
    fields: ({ stranger, enterprise }) => ({
      node_id: stranger.id,
      network_id: enterprise,
      accept: true,
    }),
    reply: ({ enterprise }) => ({ accepted: true, network_id: enterprise }),
    refusals: [{
      what: "an ordinary network",
      fields: ({ network }) => ({ network_id: network }),
      challenge: ({ stranger, network }) => challenges.respondInvite(stranger.id, network),
      error: "enterprise feature: requires enterprise network",
    }, {
      what: "an invitation for somebody else",
      fields: ({ open, enterprise }) => ({ node_id: open.id, network_id: enterprise }),
      error: MASKED,
    }],
  },
  {
    type: "kick_member",
    auth: toMember("kick_member"),
    fields: aboutMember,
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
    }),
    refusals: [
      backbone("cannot kick from the backbone network"),
      {
        what: "the owner",
        fields: ({ owner }) => ({ target_node_id: owner.id, admin_token: ADMIN }),
        error: "cannot kick the network owner",
      },
    ],
  },
  {
    type: "unban_member",
    auth: byRole("unban_member", ({ stranger }) => stranger.id),
    before: async ({ client, enterprise, stranger }) => {
      const ban = { type: "kick_member", network_id: enterprise, ban: true };
      await client.ok({ ...ban, target_node_id: stranger.id, admin_token: ADMIN });
    },
    fields: inEnterprise(({ stranger }) => ({ target_node_id: stranger.id })),
    reply: ({ enterprise, stranger }) => ({
      network_id: enterprise,
      target_node_id: stranger.id,
    }),
    refusals: [NO_NETWORK, {
      what: "a node that is not banned",
      fields: ({ open }) => ({ target_node_id: open.id, admin_token: ADMIN }),
      error: ({ open, enterprise }) => `ban of node ${open.id} not found in network ${enterprise}`,
    }],
  },
  {
    type: "list_bans",
    auth: byRole("list_bans"),
    fields: inEnterprise(),
    reply: ({ enterprise }) => ({ network_id: enterprise, bans: [] }),
    refusals: [NO_NETWORK],
  },
  {
    type: "promote_member",
    auth: toMember("promote_member"),
    fields: aboutMember,
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
      role: "admin",
    }),
    refusals: [{
      what: "the owner",
      fields: ({ owner }) => ({ target_node_id: owner.id, admin_token: ADMIN }),
      error: "cannot promote the owner",
    }],
  },
  {
    type: "demote_member",
    auth: toMember("demote_member"),
    before: promote,
    fields: aboutMember,
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
      role: "member",
    }),
    refusals: [{
      what: "the owner",
      fields: ({ owner }) => ({ target_node_id: owner.id, admin_token: ADMIN }),
      error: "cannot demote the owner",
    }],
  },
  {
    type: "transfer_ownership",
    auth: toMember("transfer_ownership"),
    fields: inEnterprise(({ member }) => ({ new_owner_id: member.id })),
    reply: ({ enterprise, owner, member }) => ({
      network_id: enterprise,
      old_owner: owner.id,
      new_owner: member.id,
    }),
    refusals: [{
      what: "to nobody",
      fields: () => ({ new_owner_id: undefined, admin_token: ADMIN }),
      error: "new_owner_id is required",
    }],
  },
  {
    type: "get_member_role",
    auth: { kind: "none" },
    fields: ({ enterprise, member }) => ({ network_id: enterprise, target_node_id: member.id }),
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
      role: "member",
    }),
  },
  {
    type: "set_member_tags",
    auth: toMember("set_member_tags"),
    fields: inEnterprise(({ member }) => ({ target_node_id: member.id, tags: ["gpu"] })),
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
      tags: ["gpu"],
    }),
    refusals: [{
      what: "too many",
      fields: () => ({ tags: Array.from({ length: 11 }, (_, i) => `t${i}`), admin_token: ADMIN }),
      error: "too many member tags (max 10)",
    }],
  },
  {
    type: "get_member_tags",
    auth: { kind: "member" },
    fields: ({ enterprise, member }) => ({ network_id: enterprise, target_node_id: member.id }),
    reply: ({ enterprise, member }) => ({
      network_id: enterprise,
      target_node_id: member.id,
      tags: [],
    }),
  },
  {
    type: "set_network_policy",
    auth: byRole("set_network_policy"),
    fields: inEnterprise(() => ({ max_members: 9, allowed_ports: [443, 80, 443] })),
    reply: ({ enterprise }) => ({
      network_id: enterprise,
      ...policy({ max_members: 9, allowed_ports: [443, 80] }),
    }),
    refusals: [
      {
        what: "fewer members than there are",
        fields: () => ({ max_members: 1, admin_token: ADMIN }),
        error: "cannot set max_members to 1: network already has 2 members",
      },
      {
        what: "a port that is none",
        fields: () => ({ allowed_ports: [0], admin_token: ADMIN }),
        error: "invalid port number in allowed_ports (must be integer 1-65535)",
      },
      {
        what: "an ordinary network",
        fields: ({ network }) => ({ network_id: network, admin_token: ADMIN }),
        error: "enterprise feature: requires enterprise network",
      },
    ],
  },
  {
    type: "get_network_policy",
    auth: { kind: "member" },
    fields: ({ enterprise }) => ({ network_id: enterprise }),
    reply: ({ enterprise }) => ({ network_id: enterprise, ...policy({}) }),
  },
  {
    type: "set_expr_policy",
    auth: byRole("set_expr_policy"),
    fields: inEnterprise(() => ({ expr_policy: { version: 1, rules: [{ allow: "true" }] } })),
    reply: ({ enterprise }) => ({ network_id: enterprise }),
    refusals: [
      {
        what: "none",
        fields: () => ({ expr_policy: undefined, admin_token: ADMIN }),
        error: "expr_policy field is required",
      },
      {
        what: "without rules",
        fields: () => ({ expr_policy: { version: 1 }, admin_token: ADMIN }),
        error: "expr_policy: at least one rule is required",
      },
    ],
  },
  {
    type: "get_expr_policy",
    auth: { kind: "none" },
    fields: ({ enterprise }) => ({ network_id: enterprise }),
    reply: ({ enterprise }) => ({ network_id: enterprise }),
  },
];

/** The owner invites the stranger. */
async function invite({ client, owner, stranger, enterprise }: World): Promise<void> {
  await client.ok({
    ...{ type: "invite_to_network", network_id: enterprise },
    ...{ inviter_id: owner.id, target_node_id: stranger.id },
    signature: await owner.sign(challenges.invite(owner.id, enterprise, stranger.id)),
  });
}
