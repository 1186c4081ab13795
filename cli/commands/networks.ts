/**
 * `network …`: the registry's networks, and invitations to them (daemon.md §7.5).
 *
 * @module
 */

import type { JsonObject, Networks } from "../../sdk/mod.ts";
import { usageError } from "../errors.ts";
import type { Invocation } from "../invocation.ts";
import { type Outcome, table } from "../output.ts";
import { parseNetwork } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";

function networkOf(call: Invocation): number {
  return parseNetwork(call.arg(0, "network"));
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function unixTime(value: unknown): string {
  return typeof value === "number" && value > 0
    ? new Date(value * 1000).toISOString().slice(0, 19) + "Z"
    : "";
}

/** Rows of some columns of objects, or what to say when there are none. */
function listing(
  call: Invocation,
  rows: readonly JsonObject[],
  columns: readonly (readonly [string, (row: JsonObject) => string])[],
  none: string,
): string {
  if (rows.length === 0) return call.style.dim(none);
  const headings = columns.map(([heading]) => heading);
  return table(headings, rows.map((row) => columns.map(([, cell]) => cell(row))), call.style);
}

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

/** From a file that nobody else can read, or the environment: a command line is seen by every user of the machine. */
async function tokenOf({ host, options }: Invocation): Promise<string> {
  const path = options.text("token-file");
  if (path === undefined) return host.env("PILOT_NETWORK_TOKEN") ?? "";
  const { readPrivateFile } = await import("../../platform/files.ts");
  const token = (await readPrivateFile(path))?.trim();
  if (token === undefined) throw usageError(`--token-file ${path}: no such file`);
  return token;
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

/** A command about a member: what the registry answers, and a sentence about it. */
async function aboutMember(
  call: Invocation,
  ask: (
    networks: Networks,
    network: number,
    node: number,
    options: { signal: AbortSignal },
  ) => Promise<JsonObject>,
  sentence: (network: number, node: number) => string,
): Promise<Outcome> {
  const network = networkOf(call);
  const target = call.arg(1, "target");
  const driver = await call.driver();
  const options = { signal: call.signal };
  const { node } = await driver.resolveTarget(target, options);
  const reply = await ask(driver.networks, network, node, options);
  return { data: reply, text: sentence(network, node) };
}

function kick(call: Invocation): Promise<Outcome> {
  const ban = call.options.flag("ban") ?? false;
  return aboutMember(
    call,
    (networks, network, node, options) => networks.kick(network, node, { ...options, ban }),
    (network, node) =>
      `${ban ? "Banned node" : "Put node"} ${node} ${ban ? "from" : "out of"} network ${network}`,
  );
}

async function bans(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const found = await (await call.driver()).networks.bans(network, { signal: call.signal });
  const shown = listing(call, found, [
    ["NODE ID", ({ node_id }) => text(node_id)],
    ["SINCE", ({ timestamp }) => unixTime(timestamp)],
  ], "Nobody is banned");
  return { data: { bans: found, total: found.length }, text: shown };
}

async function setToken(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const token = await tokenOf(call);
  if (token === "") throw usageError("No token: use --token-file or PILOT_NETWORK_TOKEN");
  const driver = await call.driver();
  const reply = await driver.networks.setToken(network, token, { signal: call.signal });
  return { data: reply, text: `Network ${network} has another token` };
}

async function releaseHold(call: Invocation): Promise<Outcome> {
  const reply = await (await call.driver()).networks.releaseHold({ signal: call.signal });
  return {
    data: reply,
    text:
      "The registry takes this node's older signatures again, until this daemon is started anew",
  };
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
          description: "Its token, in a file with mode 0600 (PILOT_NETWORK_TOKEN)",
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
        summary: "List the invitations that wait for an answer",
        examples: ["network invites"],
        returns: "invites[{network_id, inviter_id, timestamp}], total",
        run: invites,
      },
      {
        name: "kick",
        summary: "Put a member out, as owner or admin of an enterprise network",
        args: "<network> <target>",
        options: [{
          flags: "--ban",
          description: "It cannot come back until `network unban`",
        }],
        examples: ["network kick 3 mallory", "network kick 3 mallory --ban"],
        returns: "network_id, target_node_id",
        run: kick,
      },
      {
        name: "unban",
        summary: "Let a banned node join again",
        args: "<network> <target>",
        examples: ["network unban 3 mallory"],
        returns: "network_id, target_node_id",
        run: (call) =>
          aboutMember(
            call,
            (networks, network, node, options) => networks.unban(network, node, options),
            (network, node) => `Node ${node} may join network ${network} again`,
          ),
      },
      {
        name: "bans",
        summary: "List the nodes banned from a network",
        args: "<network>",
        examples: ["network bans 3"],
        returns: "bans[{node_id, timestamp}], total",
        run: bans,
      },
      {
        name: "promote",
        summary: "Make a member admin, as the owner",
        args: "<network> <target>",
        examples: ["network promote 3 alice"],
        returns: "network_id, target_node_id, role",
        run: (call) =>
          aboutMember(
            call,
            (networks, network, node, options) => networks.promote(network, node, options),
            (network, node) => `Node ${node} is an admin of network ${network}`,
          ),
      },
      {
        name: "demote",
        summary: "Make an admin a member again, as the owner",
        args: "<network> <target>",
        examples: ["network demote 3 alice"],
        returns: "network_id, target_node_id, role",
        run: (call) =>
          aboutMember(
            call,
            (networks, network, node, options) => networks.demote(network, node, options),
            (network, node) => `Node ${node} is a member of network ${network}`,
          ),
      },
      {
        name: "transfer",
        summary: "Hand a network over to a member, as the owner",
        args: "<network> <target>",
        examples: ["network transfer 3 alice"],
        returns: "network_id, old_owner, new_owner",
        run: (call) =>
          aboutMember(
            call,
            (networks, network, node, options) => networks.transfer(network, node, options),
            (network, node) => `Node ${node} owns network ${network}`,
          ),
      },
      {
        name: "set-token",
        summary: "Change the token by which a network is joined, as owner or admin",
        args: "<network>",
        options: [{
          flags: "--token-file <file>",
          description: "The new one, in a file with mode 0600 (PILOT_NETWORK_TOKEN)",
        }],
        examples: ["network set-token 3 --token-file token"],
        returns: "network_id",
        run: setToken,
      },
      {
        name: "release-hold",
        summary: "Let the registry take this node's older signatures again (docs/RENDEZVOUS.md)",
        examples: ["network release-hold"],
        returns: "node_id",
        run: releaseHold,
      },
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
