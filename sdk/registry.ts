/**
 * This node's entry in the registry, and what the registry says of others, asked through the daemon.
 *
 * @module
 */

import {
  DEREGISTER,
  HANDSHAKE_TARGET,
  type IpcHandshakeTargetReply,
  type IpcResolvedHostname,
  LOOKUP,
  MANAGE_NETWORK,
  RESOLVE_HOSTNAME,
  SET_HOSTNAME,
  SET_TAGS,
  SET_VISIBILITY,
} from "../protocol/ipc/mod.ts";
import { readReply } from "../protocol/registry/registry_message.ts";
import {
  type HostnameFields,
  type LookupReply,
  type NodeFields,
  type NoFields,
  releaseHold,
  type SetTagsReply,
  type SetVisibilityReply,
} from "../protocol/registry/requests/mod.ts";
import type { AbortOptions } from "./abort.ts";
import type { Requester } from "./requester.ts";
import { checkNode } from "./target.ts";

/**
 * The registry, reached as `driver.registry`. Failures are as those of the driver's other requests.
 *
 * @example Being found by name
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await driver.registry.setHostname("bob");
 * await driver.registry.setTags(["search", "weather"]);
 * await driver.registry.setVisibility(true);
 * ```
 */
export class RegistryEntry {
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
   * What the registry publishes about a node.
   *
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer: node_id, address, public_key, hostname, tags, ...
   */
  lookup(node: number, options: AbortOptions = {}): Promise<LookupReply> {
    const fields = { node: checkNode(node) };
    return this.#requester.call(LOOKUP, fields, `Looking up node ${node}`, options);
  }

  /**
   * Finds a node by its hostname. A private node's name resolves only for peers that it trusts.
   *
   * @param hostname The name.
   * @param options Signal.
   * @returns Node and address.
   * @throws {PilotError} `not_found`.
   */
  resolve(hostname: string, options: AbortOptions = {}): Promise<IpcResolvedHostname> {
    return this.#requester.call(RESOLVE_HOSTNAME, { hostname }, `Finding "${hostname}"`, {
      ...options,
      failure: "not_found",
    });
  }

  /**
   * Finds a node to shake hands with by its hostname, also a private one.
   *
   * @param hostname The name.
   * @param options Signal.
   * @returns Node and address.
   * @throws {PilotError} `not_found`.
   */
  handshakeTarget(
    hostname: string,
    options: AbortOptions = {},
  ): Promise<IpcHandshakeTargetReply> {
    if (!this.#requester.tagged) return this.resolve(hostname, options);
    return this.#requester.call(HANDSHAKE_TARGET, { hostname }, `Finding "${hostname}"`, options);
  }

  /**
   * Sets our hostname.
   *
   * @param hostname The name; empty clears it.
   * @param options Signal.
   * @returns The registry's answer.
   * @throws {PilotError} `invalid_argument`, `already_exists` when another node has it.
   */
  setHostname(
    hostname: string,
    options: AbortOptions = {},
  ): Promise<HostnameFields> {
    return this.#requester.call(SET_HOSTNAME, { hostname }, "Setting the hostname", options);
  }

  /**
   * Sets our tags.
   *
   * @param tags All tags, at most 10; an empty list clears them.
   * @param options Signal.
   * @returns The registry's answer.
   */
  setTags(
    tags: readonly string[],
    options: AbortOptions = {},
  ): Promise<SetTagsReply> {
    return this.#requester.call(SET_TAGS, { tags }, "Setting the tags", options);
  }

  /**
   * Makes our endpoint and hostname known to everybody, or only to those we trust.
   *
   * @param isPublic True for everybody.
   * @param options Signal.
   * @returns The registry's answer.
   */
  setVisibility(
    isPublic: boolean,
    options: AbortOptions = {},
  ): Promise<SetVisibilityReply> {
    return this.#requester.call(SET_VISIBILITY, { isPublic }, "Setting the visibility", options);
  }

  /**
   * Removes our node from the registry.
   *
   * @param options Signal.
   * @returns The registry's answer, which says no more than that.
   */
  async deregister(options: AbortOptions = {}): Promise<NoFields> {
    return await this.#requester.call(DEREGISTER, {}, "Deregistering", options);
  }

  /**
   * Lets the registry take this node's older, replayable signatures again, for software that makes no others. The daemon
   * makes no others itself until it is started again.
   *
   * @param options Signal.
   * @returns The registry's answer.
   */
  async releaseHold(options: AbortOptions = {}): Promise<NodeFields> {
    const fields = { type: releaseHold.type, fields: {} };
    const what = "Releasing the hold";
    return readReply(
      releaseHold,
      await this.#requester.call(MANAGE_NETWORK, fields, what, options),
    );
  }
}
