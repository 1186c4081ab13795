/**
 * `network kick`, `promote` ...: what members do by their roles, each signed by the daemon.
 *
 * @module
 */

import type { Networks } from "../../sdk/mod.ts";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import type { Outcome } from "../output.ts";
import type { CommandSpec } from "../spec.ts";
import { listing, networkOf, text, tokenOf, unixTime } from "./network_parts.ts";

/** A command about a member: what the registry answers, and a sentence about it. */
async function aboutMember(
  call: Invocation,
  ask: (
    networks: Networks,
    network: number,
    node: number,
    options: { signal: AbortSignal },
  ) => Promise<object>,
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
    (network, node) => `${ban ? "Banned" : "Removed"} node ${node} from network ${network}`,
  );
}

async function bans(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const found = await (await call.driver()).networks.bans(network, { signal: call.signal });
  const shown = listing(call, found, [
    ["NODE ID", ({ node_id }) => text(node_id)],
    ["SINCE", ({ timestamp }) => unixTime(timestamp)],
  ], "No node is banned");
  return { data: { bans: found, total: found.length }, text: shown };
}

async function setToken(call: Invocation): Promise<Outcome> {
  const network = networkOf(call);
  const token = await tokenOf(call);
  if (token === "") throw usageError("No token: use --token-file or PILOT_NETWORK_TOKEN");
  const driver = await call.driver();
  const reply = await driver.networks.setToken(network, token, { signal: call.signal });
  return { data: reply, text: `Network ${network} has a new token` };
}

async function releaseHold(call: Invocation): Promise<Outcome> {
  const reply = await (await call.driver()).registry.releaseHold({ signal: call.signal });
  return {
    data: reply,
    text: "The registry accepts this node's older signatures again until this daemon is restarted",
  };
}

/** The commands. */
export const networkRoleCommands: readonly CommandSpec[] = [
  {
    name: "kick",
    summary: "Remove a member, as owner or admin of an enterprise network",
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
    summary: "Change the token for joining a network, as owner or admin",
    args: "<network>",
    options: [{
      flags: "--token-file <file>",
      description: "File with the new token, mode 0600 (PILOT_NETWORK_TOKEN)",
    }],
    examples: ["network set-token 3 --token-file token"],
    returns: "network_id",
    run: setToken,
  },
  {
    name: "release-hold",
    summary: "Let the registry accept this node's older signatures again (docs/RENDEZVOUS.md)",
    examples: ["network release-hold"],
    returns: "node_id",
    run: releaseHold,
  },
];
