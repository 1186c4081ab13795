/**
 * `network …`: the registry's networks, and invitations to them (docs/protocol/local-socket.md §5).
 *
 * @module
 */

import type { Invocation } from "../invocation.ts";
import type { Outcome } from "../output.ts";
import type { CommandGroup } from "../spec.ts";
import { listing, networkOf, text, tokenOf, unixTime } from "./network_parts.ts";
import { networkRoleCommands } from "./network_roles.ts";

async function list(call: Invocation): Promise<Outcome> {
  const networks = await (await call.driver()).networks.list({ signal: call.signal });
  const shown = listing(call, networks, [
    ["ID", ({ id }) => text(id)],
    ["NAME", ({ name }) => text(name)],
    ["MEMBERS", ({ members }) => text(members)],
    ["JOIN", ({ join_rule }) => text(join_rule)],
    ["ENTERPRISE", ({ enterprise }) => enterprise === true ? "yes" : "no"],
  ], "No networks");
  return { data: { networks, total: networks.length }, text: shown };
}

async function join(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const token = await tokenOf(call);
  const reply = await (await call.driver()).networks.join(network, token, { signal: call.signal });
  return { data: reply, text: `Joined network ${network} as ${text(reply.address)}` };
}

async function leave(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const reply = await (await call.driver()).networks.leave(network, { signal: call.signal });
  return { data: reply, text: `Left network ${network}` };
}

async function members(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const nodes = await (await call.driver()).networks.members(network, { signal: call.signal });
  const shown = listing(call, nodes, [
    ["NODE ID", ({ node_id }) => text(node_id)],
    ["ADDRESS", ({ address }) => text(address)],
    ["HOSTNAME", ({ hostname }) => text(hostname)],
    ["ROLE", ({ role }) => text(role)],
    ["STATE", ({ offline }) => offline === true ? "offline" : ""],
  ], "No members");
  return { data: { nodes, total: nodes.length }, text: shown };
}

async function invite(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const target = call.arg(1, "target");
  const driver = await call.driver();
  const { node } = await driver.resolveTarget(target, { signal: call.signal });
  const reply = await driver.networks.invite(network, node, { signal: call.signal });
  return { data: reply, text: `Invited node ${node} to network ${network}` };
}

async function invites(call: Invocation): Promise<Outcome> {
  const found = await (await call.driver()).networks.invites({ signal: call.signal });
  const shown = listing(call, found, [
    ["NETWORK", ({ network_id }) => text(network_id)],
    ["INVITED BY", ({ inviter_id }) => text(inviter_id)],
    ["WHEN", ({ timestamp }) => unixTime(timestamp)],
  ], "No invitations");
  return { data: { invites: found, total: found.length }, text: shown };
}

async function respond(call: Invocation, accept: boolean): Promise<Outcome> {
  const network = networkOf(call);
  const driver = await call.driver();
  const reply = await driver.networks.respond(network, accept, { signal: call.signal });
  const what = accept ? "Joined" : "Declined the invitation to";
  return { data: reply, text: `${what} network ${network}` };
}

/** Networks. */
export const networksGroup: CommandGroup = {
  title: "Networks",
  commands: [{
    name: "network",
    summary: "List, join and leave networks; invite to them and answer invitations",
    commands: [
      {
        name: "list",
        summary: "List the registry's networks",
        examples: ["network list"],
        returns: "networks[{id, name, members, join_rule, enterprise, created}], total",
        run: list,
      },
      {
        name: "join",
        summary: "Join a network",
        args: "<network>",
        options: [{
          flags: "--token-file <file>",
          description: "File with its token, mode 0600 (PILOT_NETWORK_TOKEN)",
        }],
        examples: ["network join 3", "network join 3 --token-file token"],
        returns: "network_id, address",
        run: join,
      },
      {
        name: "leave",
        summary: "Leave a network",
        args: "<network>",
        examples: ["network leave 3"],
        returns: "network_id",
        run: leave,
      },
      {
        name: "members",
        summary: "List the members of a network",
        args: "<network>",
        examples: ["network members 3"],
        returns: "nodes[{node_id, address, hostname, role, offline}], total",
        run: members,
      },
      {
        name: "invite",
        summary: "Invite a node",
        args: "<network> <target>",
        examples: ["network invite 3 alice"],
        returns: "network_id, target_node_id, status",
        run: invite,
      },
      {
        name: "invites",
        summary: "List the pending invitations",
        examples: ["network invites"],
        returns: "invites[{network_id, inviter_id, timestamp}], total",
        run: invites,
      },
      ...networkRoleCommands,
      {
        name: "accept",
        summary: "Accept an invitation",
        args: "<network>",
        examples: ["network accept 3"],
        returns: "network_id, accepted",
        run: (call) => respond(call, true),
      },
      {
        name: "decline",
        summary: "Decline an invitation",
        args: "<network>",
        examples: ["network decline 3"],
        returns: "network_id, accepted",
        run: (call) => respond(call, false),
      },
    ],
  }],
};
