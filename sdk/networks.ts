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
import { readReply } from "../protocol/registry/registry_message.ts";
import * as requests from "../protocol/registry/requests/mod.ts";
import type { AbortOptions } from "./abort.ts";
import type { Requester } from "./requester.ts";
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
  async list(options: AbortOptions = {}): Promise<readonly requests.ListedNetwork[]> {
    const reply = await this.#requester.call(LIST_NETWORKS, {}, "Listing networks", options);
    return readReply(requests.listNetworks, reply).networks;
  }

  /**
   * Joins a network.
   *
   * @param network Its number.
   * @param token Its token, where it wants one.
   * @param options Signal.
   * @returns The registry's answer: network_id, address, ...
   */
  async join(
    network: number,
    token: string = "",
    options: AbortOptions = {},
  ): Promise<requests.JoinNetworkReply> {
    checkU16(network, "network");
    const what = `Joining network ${network}`;
    return readReply(
      requests.joinNetwork,
      await this.#requester.call(JOIN_NETWORK, { network, token }, what, options),
    );
  }

  /**
   * Leaves a network.
   *
   * @param network Its number.
   * @param options Signal.
   * @returns The registry's answer.
   */
  async leave(
    network: number,
    options: AbortOptions = {},
  ): Promise<requests.NetworkReply> {
    checkU16(network, "network");
    const what = `Leaving network ${network}`;
    return readReply(
      requests.leaveNetwork,
      await this.#requester.call(LEAVE_NETWORK, { network }, what, options),
    );
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
  ): Promise<readonly requests.ListedNode[]> {
    checkU16(network, "network");
    const what = `Listing members of network ${network}`;
    const reply = await this.#requester.call(LIST_MEMBERS, { network }, what, options);
    return readReply(requests.listNodes, reply).nodes;
  }

  /**
   * Invites a node to a network.
   *
   * @param network Its number.
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer.
   */
  async invite(
    network: number,
    node: number,
    options: AbortOptions = {},
  ): Promise<requests.InviteReply> {
    checkU16(network, "network");
    const what = `Inviting node ${node} to network ${network}`;
    const fields = { network, node: checkNode(node) };
    return readReply(
      requests.inviteToNetwork,
      await this.#requester.call(INVITE, fields, what, options),
    );
  }

  /**
   * Invitations that wait for {@linkcode respond}.
   *
   * @param options Signal.
   * @returns The invitations.
   */
  async invites(options: AbortOptions = {}): Promise<readonly requests.WaitingInvite[]> {
    const reply = await this.#requester.call(POLL_INVITES, {}, "Reading invitations", options);
    return readReply(requests.pollInvites, reply).invites;
  }

  /**
   * Answers an invitation.
   *
   * @param network To which network.
   * @param accept Whether to join.
   * @param options Signal.
   * @returns The registry's answer.
   */
  async respond(
    network: number,
    accept: boolean,
    options: AbortOptions = {},
  ): Promise<requests.RespondInviteReply> {
    checkU16(network, "network");
    const what = `Answering the invitation to network ${network}`;
    return readReply(
      requests.respondInvite,
      await this.#requester.call(RESPOND_INVITE, { network, accept }, what, options),
    );
  }

  /**
   * Puts a member out of a network, as its owner or admin.
   *
   * @param network Its number.
   * @param node The node.
   * @param options Signal; `ban`: the node cannot come back until {@linkcode unban}.
   * @returns The registry's answer.
   */
  kick(
    network: number,
    node: number,
    options: AbortOptions & { readonly ban?: boolean } = {},
  ): Promise<requests.MemberReply> {
    const ban = options.ban === true ? { ban: true } : {};
    return this.#manage(
      requests.kickMember,
      network,
      { target_node_id: checkNode(node), ...ban },
      options,
    );
  }

  /**
   * Lets a banned node join again, as owner or admin.
   *
   * @param network The network's number.
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer.
   */
  unban(network: number, node: number, options: AbortOptions = {}): Promise<requests.MemberReply> {
    return this.#manage(
      requests.unbanMember,
      network,
      { target_node_id: checkNode(node) },
      options,
    );
  }

  /**
   * Nodes banned from a network, for its owner and admins.
   *
   * @param network Its number.
   * @param options Signal.
   * @returns node_id and timestamp of each.
   */
  async bans(network: number, options: AbortOptions = {}): Promise<readonly requests.ListedBan[]> {
    return (await this.#manage(requests.listBans, network, {}, options)).bans;
  }

  /**
   * Makes a member admin, as the owner.
   *
   * @param network The network's number.
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer.
   */
  promote(network: number, node: number, options: AbortOptions = {}): Promise<requests.RoleReply> {
    return this.#manage(
      requests.promoteMember,
      network,
      { target_node_id: checkNode(node) },
      options,
    );
  }

  /**
   * Makes an admin a member again, as the owner.
   *
   * @param network The network's number.
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer.
   */
  demote(network: number, node: number, options: AbortOptions = {}): Promise<requests.RoleReply> {
    return this.#manage(
      requests.demoteMember,
      network,
      { target_node_id: checkNode(node) },
      options,
    );
  }

  /**
   * Hands a network over, as its owner, who becomes admin.
   *
   * @param network Its number.
   * @param node The new owner, a member.
   * @param options Signal.
   * @returns The registry's answer.
   */
  transfer(
    network: number,
    node: number,
    options: AbortOptions = {},
  ): Promise<requests.TransferReply> {
    return this.#manage(
      requests.transferOwnership,
      network,
      { new_owner_id: checkNode(node) },
      options,
    );
  }

  /**
   * Changes the token by which a network is joined, as its owner or admin.
   *
   * @param network Its number.
   * @param token The new one, at most 256 characters.
   * @param options Signal.
   * @returns The registry's answer.
   */
  setToken(
    network: number,
    token: string,
    options: AbortOptions = {},
  ): Promise<requests.NetworkReply> {
    return this.#manage(requests.setJoinToken, network, { token }, options);
  }

  async #manage<F extends requests.NetworkFields, R extends object>(
    request: requests.RoleRequest<F, R>,
    network: number,
    fields: Omit<F, "network_id">,
    options: AbortOptions,
  ): Promise<R> {
    checkU16(network, "network");
    const { type } = request;
    const reply = await this.#requester.call(
      MANAGE_NETWORK,
      { type, fields: { network_id: network, ...fields } },
      `Changing network ${network} (${type})`,
      { ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
    return readReply(request, reply);
  }
}
