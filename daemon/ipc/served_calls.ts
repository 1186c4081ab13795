/**
 * What each call of the local socket does (docs/protocol/local-socket.md §2). The calls say how their fields and
 * answers travel; a new one needs an entry here and nothing else in the daemon.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import {
  APPROVE_TRUST,
  AWAIT_TRUST,
  DEREGISTER,
  HANDSHAKE_TARGET,
  HEALTH,
  INFO,
  INVITE,
  type IpcCall,
  type IpcHandshakeStatus,
  JOIN_NETWORK,
  LEAVE_NETWORK,
  LIST_MEMBERS,
  LIST_NETWORKS,
  LOOKUP,
  MANAGE_NETWORK,
  OPEN_HANDSHAKES,
  PATH,
  PING,
  POLL_INVITES,
  REJECT_TRUST,
  REQUEST_TRUST,
  RESOLVE_HOSTNAME,
  RESPOND_INVITE,
  REVOKE_TRUST,
  SET_HOSTNAME,
  SET_TAGS,
  SET_VISIBILITY,
  SUBSCRIBE_EVENTS,
  TRUSTED_PEERS,
  UNSUBSCRIBE_EVENTS,
} from "../../protocol/ipc/mod.ts";
import { NETWORK_ACTIONS } from "../../protocol/registry/registry_message.ts";
import type { Backend } from "./backend.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  MAX_HOSTNAME_BYTES,
  MAX_PING_TIMEOUT_MS,
  MAX_REASON_BYTES,
  MAX_TAGS,
} from "./ipc_limits.ts";
import { encodeReply, prefixed, unwrap } from "./replies.ts";

/** A call and what it does. */
export interface ServedCall {
  readonly call: Pick<IpcCall<never, unknown>, "cmd" | "sub">;
  readonly command: Command;
}

function serve<Fields, Reply extends object>(
  call: IpcCall<Fields, Reply>,
  run: (backend: Backend, fields: Fields, context: CommandContext) => Reply | Promise<Reply>,
): ServedCall {
  const { cmd, prefix } = call;
  const answer = (reply: Reply) => ({ cmd: cmd + 1, payload: encodeReply(reply) });
  const command: Command = (context, payload) => {
    const fields = unwrap(call.decode(payload));
    if (prefix !== "") {
      return prefixed(prefix, async () => answer(await run(context.backend, fields, context)));
    }
    const reply = run(context.backend, fields, context);
    return reply instanceof Promise ? reply.then(answer) : answer(reply);
  };
  return { call, command };
}

/** Refuses text that is longer than any use of it. */
function checkLength(what: string, text: string, maxBytes: number): void {
  if (new TextEncoder().encode(text).length <= maxBytes) return;
  throw new PilotError("invalid_argument", `The ${what} is longer than ${maxBytes} bytes`);
}

const NODE_CALLS: readonly ServedCall[] = [
  serve(INFO, (backend) => backend.info()),
  serve(HEALTH, (backend) => backend.health()),
  serve(PATH, (backend, { node }) => backend.path(node)),
  serve(PING, async ({ network }, { address, timeoutMs }, { signal }) => {
    const limit = Math.min(timeoutMs, MAX_PING_TIMEOUT_MS);
    const { rttMs, relayed } = await network.ping(address, { timeoutMs: limit, signal });
    return { rtt_ms: rttMs, relayed };
  }),
  serve(LOOKUP, ({ directory }, { node }) => directory.lookup(node)),
  serve(RESOLVE_HOSTNAME, ({ directory }, { hostname }) => {
    checkLength("hostname", hostname, MAX_HOSTNAME_BYTES);
    return directory.resolveHostname(hostname);
  }),
  serve(HANDSHAKE_TARGET, ({ directory }, { hostname }) => {
    checkLength("hostname", hostname, MAX_HOSTNAME_BYTES);
    return directory.handshakeTarget(hostname);
  }),
  serve(SET_HOSTNAME, ({ directory }, { hostname }) => {
    checkLength("hostname", hostname, MAX_HOSTNAME_BYTES);
    return directory.setHostname(hostname);
  }),
  serve(SET_VISIBILITY, ({ directory }, { isPublic }) => directory.setVisibility(isPublic)),
  serve(SET_TAGS, ({ directory }, { tags }) => {
    if (tags.length <= MAX_TAGS) return directory.setTags(tags);
    throw new PilotError("invalid_argument", `maximum ${MAX_TAGS} tags allowed`);
  }),
  serve(DEREGISTER, ({ directory }) => directory.deregister()),
];

const EVENT_CALLS: readonly ServedCall[] = [
  serve(
    SUBSCRIBE_EVENTS,
    (_backend, { names }, { events }) => ({ subscription: events.subscribe(names) }),
  ),
  serve(UNSUBSCRIBE_EVENTS, (_backend, { subscription }, { events }) => {
    events.unsubscribe(subscription);
    return {};
  }),
];

const TRUST_CALLS: readonly ServedCall[] = [
  serve(REQUEST_TRUST, async ({ trust }, { node, text }): Promise<IpcHandshakeStatus> => {
    checkLength("reason", text, MAX_REASON_BYTES);
    const outcome = await trust.request(node, text);
    // Existing drivers know "sent"; a peer that is trusted needs nothing more from them either.
    return { status: "sent", node_id: node, ...(outcome === "sent" ? {} : { [outcome]: true }) };
  }),
  serve(APPROVE_TRUST, async ({ trust }, { node }) => {
    await trust.approve(node);
    return { status: "approved", node_id: node };
  }),
  serve(REJECT_TRUST, async ({ trust }, { node, text }) => {
    checkLength("reason", text, MAX_REASON_BYTES);
    await trust.reject(node, text);
    return { status: "rejected", node_id: node };
  }),
  serve(REVOKE_TRUST, async ({ trust }, { node }) => {
    const wasTrusted = await trust.revoke(node);
    return { status: "revoked", node_id: node, ...(wasTrusted ? {} : { withdrawn: true }) };
  }),
  // Existing drivers look at the first list only.
  serve(OPEN_HANDSHAKES, ({ trust }) => ({
    pending: trust.pending(),
    outgoing: trust.outgoing(),
    refused: trust.refused(),
  })),
  serve(TRUSTED_PEERS, ({ trust }) => ({ trusted: trust.trusted() })),
  serve(AWAIT_TRUST, async ({ trust }, { node, timeoutMs }, { signal }) => ({
    node_id: node,
    trusted: await trust.waitFor(node, timeoutMs, signal),
  })),
];

/** What local programs may ask by the registry's own names. */
const MANAGE_TYPES: ReadonlySet<string> = new Set([...NETWORK_ACTIONS, "release_hold"]);

const NETWORK_CALLS: readonly ServedCall[] = [
  serve(LIST_NETWORKS, ({ directory }) => directory.network("list_networks", {})),
  serve(JOIN_NETWORK, ({ directory }, { network, token }) =>
    directory.network("join_network", {
      network_id: network,
      ...(token === "" ? {} : { token }),
    })),
  serve(
    LEAVE_NETWORK,
    ({ directory }, { network }) => directory.network("leave_network", { network_id: network }),
  ),
  serve(
    LIST_MEMBERS,
    ({ directory }, { network }) => directory.network("list_nodes", { network_id: network }),
  ),
  serve(
    INVITE,
    ({ directory }, { network, node }) =>
      directory.network("invite_to_network", { network_id: network, target_node_id: node }),
  ),
  serve(POLL_INVITES, ({ directory }) => directory.network("poll_invites", {})),
  serve(
    RESPOND_INVITE,
    ({ directory }, { network, accept }) =>
      directory.network("respond_invite", { network_id: network, accept }),
  ),
  serve(MANAGE_NETWORK, ({ directory }, { type, fields }) => {
    if (MANAGE_TYPES.has(type)) return directory.network(type, { ...fields });
    throw new PilotError("invalid_argument", `no such request: ${type}`);
  }),
];

/** Every call that is served. */
export const SERVED_CALLS: readonly ServedCall[] = [
  ...NODE_CALLS,
  ...EVENT_CALLS,
  ...TRUST_CALLS,
  ...NETWORK_CALLS,
];

/**
 * Commands by number, those with sub-commands as one.
 *
 * @param served The calls.
 */
export function commandsOf(served: readonly ServedCall[]): Map<number, Command> {
  const commands = new Map<number, Command>();
  const families = Map.groupBy(served, ({ call }) => call.cmd);
  for (const [cmd, members] of families) {
    const [first] = members;
    if (first!.call.sub === undefined) commands.set(cmd, first!.command);
    else commands.set(cmd, family(cmd, members));
  }
  return commands;
}

/** What commands with sub-commands are called in errors. */
const FAMILY_NAMES: ReadonlyMap<number, string> = new Map([
  [REQUEST_TRUST.cmd, "handshake"],
  [LIST_NETWORKS.cmd, "network"],
]);

function family(cmd: number, members: readonly ServedCall[]): Command {
  const name = FAMILY_NAMES.get(cmd) ?? `command 0x${cmd.toString(16)}`;
  const bySub = new Map(members.map(({ call, command }) => [call.sub, command]));
  return (context, payload) => {
    const sub = payload[0];
    if (sub === undefined) {
      throw new PilotError("invalid_argument", `${name}: missing sub-command`);
    }
    const command = bySub.get(sub);
    if (command !== undefined) return command(context, payload);
    const hex = sub.toString(16).padStart(2, "0");
    throw new PilotError("invalid_argument", `${name}: unknown sub-command 0x${hex}`);
  };
}
