/**
 * The network and managed sub-commands of the local socket (docs/protocol/local-socket.md §5, §6).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeNetwork, type IpcNetwork } from "../../protocol/ipc/mod.ts";
import { NETWORK_ACTIONS } from "../../protocol/registry/registry_message.ts";
import type { Json } from "./backend.ts";
import type { CommandContext, Reply } from "./command.ts";
import { encodeReply, need, prefixed } from "./replies.ts";

/**
 * Passes a network sub-command on to the registry.
 *
 * @param context The session.
 * @param payload Sub-command and its arguments.
 * @returns The registry's JSON.
 * @throws {CommandError} With the prefix `network <sub>`.
 */
export function runNetwork(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const request = need(decodeNetwork(payload));
  const name = request.sub.replace("_", "-");
  return prefixed(`network ${name}`, async () => {
    const [type, fields] = registryRequest(request);
    const reply = await backend.directory.network(type, fields);
    return { cmd: Cmd.NetworkOk, payload: encodeReply(reply) };
  });
}

function registryRequest(request: IpcNetwork): [string, Json] {
  switch (request.sub) {
    case "list":
      return ["list_networks", {}];
    case "join":
      return ["join_network", {
        network_id: request.network,
        ...(request.token === "" ? {} : { token: request.token }),
      }];
    case "leave":
      return ["leave_network", { network_id: request.network }];
    case "members":
      return ["list_nodes", { network_id: request.network }];
    case "invite":
      return ["invite_to_network", {
        network_id: request.network,
        target_node_id: request.node,
      }];
    case "poll_invites":
      return ["poll_invites", {}];
    case "respond_invite":
      return ["respond_invite", {
        network_id: request.network,
        accept: request.accept,
      }];
    case "manage":
      if (!MANAGE_TYPES.has(request.type)) {
        throw new PilotError("invalid_argument", `manage: no such request: ${request.type}`);
      }
      return [request.type, { ...request.fields }];
  }
}

/** What local programs may ask by the registry's own names. */
const MANAGE_TYPES: ReadonlySet<string> = new Set([...NETWORK_ACTIONS, "release_hold"]);

/** Sub-commands of docs/protocol/local-socket.md §6 that exist. */
const MANAGED_SUBS = 7;

/**
 * Answers managed-network requests: this daemon runs no managed network engine.
 *
 * @param _context The session.
 * @param payload Sub-command.
 * @throws {PilotError} `unavailable`, or `invalid_argument` for an unknown sub-command.
 */
export function runManaged(
  _context: CommandContext,
  payload: Uint8Array,
): Reply {
  const sub = payload[0];
  if (sub === undefined) {
    throw new PilotError("invalid_argument", "managed: missing sub-command");
  }
  if (sub < 1 || sub > MANAGED_SUBS) {
    throw new PilotError(
      "invalid_argument",
      `managed: unknown sub-command 0x${sub.toString(16).padStart(2, "0")}`,
    );
  }
  throw new PilotError("unavailable", "managed: no active managed networks");
}
