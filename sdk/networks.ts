/**
 * The registry's networks, asked through the daemon (daemon.md §7.5).
 *
 * @module
 */

import { Cmd, encodeNetwork, type IpcNetwork } from "../protocol/ipc.ts";
import type { AbortOptions } from "./abort.ts";
import type { JsonObject, Requester } from "./requester.ts";
import { checkNode, checkU16 } from "./target.ts";

/** Network requests, reached as `driver.networks`. Failures are as those of the driver's other requests. */
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
    const reply = await this.#network(
      "Listing networks",
      { sub: "list" },
      options,
    );
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
    return this.#network(
      `Joining network ${network}`,
      { sub: "join", network, token },
      options,
    );
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
    return this.#network(
      `Leaving network ${network}`,
      { sub: "leave", network },
      options,
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
  ): Promise<JsonObject[]> {
    checkU16(network, "network");
    const reply = await this.#network(
      `Listing members of network ${network}`,
      { sub: "members", network },
      options,
    );
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
    return this.#network(
      `Inviting node ${node} to network ${network}`,
      { sub: "invite", network, node: checkNode(node) },
      options,
    );
  }

  /**
   * Invitations that wait for {@linkcode respond}.
   *
   * @param options Signal.
   * @returns The invitations.
   */
  async invites(options: AbortOptions = {}): Promise<JsonObject[]> {
    const reply = await this.#network(
      "Reading invitations",
      { sub: "poll_invites" },
      options,
    );
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
    return this.#network(
      `Answering the invitation to network ${network}`,
      { sub: "respond_invite", network, accept },
      options,
    );
  }

  #network(
    what: string,
    request: IpcNetwork,
    options: AbortOptions,
  ): Promise<JsonObject> {
    const payload = encodeNetwork(request);
    return this.#requester.json(what, Cmd.Network, { ...options, payload });
  }
}

function objects(value: unknown): JsonObject[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((item): item is JsonObject =>
    typeof item === "object" && item !== null
  );
}
