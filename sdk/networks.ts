/**
 * The registry's networks, asked through the daemon (docs/protocol/local-socket.md §5).
 *
 * @module
 */

import {
  INVITE,
  JOIN_NETWORK,
  LEAVE_NETWORK,
  LIST_MEMBERS,
  LIST_NETWORKS,
  MANAGE_NETWORK,
  POLL_INVITES,
  RESPOND_INVITE,
} from "../protocol/ipc/mod.ts";
import type { NetworkAction } from "../protocol/registry/registry_message.ts";
import type { AbortOptions } from "./abort.ts";
import type { JsonObject, Requester } from "./requester.ts";
import { checkNode, checkU16 } from "./target.ts";

/**
 * Network requests, reached as `driver.networks`. Failures are as those of the driver's other requests.
 *
 * @example The networks there are
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * for (const { name } of await driver.networks.list()) {
 *   console.log(name);
 * }
 * ```
 */
export class Networks {
  readonly #requester: Requester;

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor(requester: Requester) {
    this.#requester = requester;
  }

  /**
   * Networks the registry knows.
   *
   * @param options Signal.
   * @returns The networks.
   */
  async list(options: AbortOptions = {}): Promise<JsonObject[]> {
    const reply = await this.#requester.call(LIST_NETWORKS, {}, "Listing networks", options);
    return objects(reply["networks"]);
  }

  /**
   * Joins a network.
   *
   * @param network Its number.
   * @param token Its token, where it wants one.
   * @param options Signal.
   * @returns The registry's answer: network_id, address, ...
   */
  join(
    network: number,
    token: string = "",
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    checkU16(network, "network");
    const what = `Joining network ${network}`;
    return this.#requester.call(JOIN_NETWORK, { network, token }, what, options);
  }

  /**
   * Leaves a network.
   *
   * @param network Its number.
   * @param options Signal.
   * @returns The registry's answer.
   */
  leave(
    network: number,
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    checkU16(network, "network");
    const what = `Leaving network ${network}`;
    return this.#requester.call(LEAVE_NETWORK, { network }, what, options);
  }

  /**
   * Members of a network.
   *
   * @param network Its number.
   * @param options Signal.
   * @returns The nodes.
   */
  async members(
    network: number,
    options: AbortOptions = {},
  ): Promise<JsonObject[]> {
    checkU16(network, "network");
    const what = `Listing members of network ${network}`;
    const reply = await this.#requester.call(LIST_MEMBERS, { network }, what, options);
    return objects(reply["nodes"]);
  }

  /**
   * Invites a node to a network.
   *
   * @param network Its number.
   * @param node Whom.
   * @param options Signal.
   * @returns The registry's answer.
   */
  invite(
    network: number,
    node: number,
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    checkU16(network, "network");
    const what = `Inviting node ${node} to network ${network}`;
    const fields = { network, node: checkNode(node) };
    return this.#requester.call(INVITE, fields, what, options);
  }

  /**
   * Invitations that wait for {@linkcode respond}.
   *
   * @param options Signal.
   * @returns The invitations.
   */
  async invites(options: AbortOptions = {}): Promise<JsonObject[]> {
    const reply = await this.#requester.call(POLL_INVITES, {}, "Reading invitations", options);
    return objects(reply["invites"]);
  }

  /**
   * Answers an invitation.
   *
   * @param network To which network.
   * @param accept Whether to join.
   * @param options Signal.
   * @returns The registry's answer.
   */
  respond(
    network: number,
    accept: boolean,
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    checkU16(network, "network");
    const what = `Answering the invitation to network ${network}`;
    return this.#requester.call(RESPOND_INVITE, { network, accept }, what, options);
  }

  /**
   * Puts a member out of a network, as its owner or admin.
   *
   * @param network Its number.
   * @param node Whom.
   * @param options Signal; `ban`: the node cannot come back until {@linkcode unban}.
   * @returns The registry's answer.
   */
  kick(
    network: number,
    node: number,
    options: AbortOptions & { readonly ban?: boolean } = {},
  ): Promise<JsonObject> {
    const ban = options.ban === true ? { ban: true } : {};
    return this.#manage(
      "kick_member",
      network,
      { target_node_id: checkNode(node), ...ban },
      options,
    );
  }

  /**
   * Lets a banned node join again, as owner or admin.
   *
   * @param network The network's number.
   * @param node Whom.
   * @param options Signal.
   * @returns The registry's answer.
   */
  unban(network: number, node: number, options: AbortOptions = {}): Promise<JsonObject> {
    return this.#manage("unban_member", network, { target_node_id: checkNode(node) }, options);
  }

  /**
   * Nodes banned from a network, for its owner and admins.
   *
   * @param network Its number.
   * @param options Signal.
   * @returns node_id and timestamp of each.
   */
  async bans(network: number, options: AbortOptions = {}): Promise<JsonObject[]> {
    return objects((await this.#manage("list_bans", network, {}, options))["bans"]);
  }

  /**
   * Makes a member admin, as the owner.
   *
   * @param network The network's number.
   * @param node Whom.
   * @param options Signal.
   * @returns The registry's answer.
   */
  promote(network: number, node: number, options: AbortOptions = {}): Promise<JsonObject> {
    return this.#manage("promote_member", network, { target_node_id: checkNode(node) }, options);
  }

  /**
   * Makes an admin a member again, as the owner.
   *
   * @param network The network's number.
   * @param node Whom.
   * @param options Signal.
   * @returns The registry's answer.
   */
  demote(network: number, node: number, options: AbortOptions = {}): Promise<JsonObject> {
    return this.#manage("demote_member", network, { target_node_id: checkNode(node) }, options);
  }

  /**
   * Hands a network over, as its owner, who becomes admin.
   *
   * @param network Its number.
   * @param node The new owner, a member.
   * @param options Signal.
   * @returns The registry's answer.
   */
  transfer(network: number, node: number, options: AbortOptions = {}): Promise<JsonObject> {
    return this.#manage("transfer_ownership", network, { new_owner_id: checkNode(node) }, options);
  }

  /**
   * Changes the token by which a network is joined, as its owner or admin.
   *
   * @param network Its number.
   * @param token The new one, at most 256 characters.
   * @param options Signal.
   * @returns The registry's answer.
   */
  setToken(network: number, token: string, options: AbortOptions = {}): Promise<JsonObject> {
    return this.#manage("set_join_token", network, { token }, options);
  }

  #manage(
    type: NetworkAction,
    network: number,
    fields: JsonObject,
    options: AbortOptions,
  ): Promise<JsonObject> {
    checkU16(network, "network");
    return this.#requester.call(
      MANAGE_NETWORK,
      { type, fields: { network_id: network, ...fields } },
      `Changing network ${network} (${type})`,
      { ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
  }
}

function objects(value: unknown): JsonObject[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((item): item is JsonObject =>
    typeof item === "object" && item !== null
  );
}
