/**
 * The registry as one node uses it: requests signed in its name, replies checked for shape
 * (docs/protocol/registry.md §4, §2.1).
 *
 * @module
 */

import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { formatAddress } from "../../protocol/address.ts";
import { decodeBase64, encodeBase64 } from "../../protocol/crypto/base64.ts";
import type { Identity } from "../../protocol/crypto/identity.ts";
import { PilotError } from "../../protocol/errors.ts";
import {
  type JsonObject,
  type RegistryRequest,
  signedText,
} from "../../protocol/registry/registry_message.ts";
import * as requests from "../../protocol/registry/requests/mod.ts";
import type { DirectoryBackend } from "../ipc/backend.ts";
import {
  CLASH_HINT,
  clashIn,
  clashText,
  type IdentityClash,
} from "../../platform/identity_clash.ts";
import { networkRequest } from "./network_requests.ts";
import { type RegistryClient, saysAbsent } from "../../platform/registry_client.ts";

const log = getLogger([LOG_CATEGORY, "registry"]);

/** A reply: what is known of it is of the right type, the rest is as it came. */
type Reply<R> = Promise<R & JsonObject>;

/** What a node reports to the registry about itself. */
export interface Registration {
  /** `host:port` of the tunnel socket. */
  readonly listenAddr: string;
  /** Contact address. */
  readonly owner: string;
  /** Software version. */
  readonly version: string;
  /** `host:port` in the local network. */
  readonly lanAddrs: readonly string[];
  /** The registry is to show our endpoint to nobody. */
  readonly isHidden?: boolean;
}

/** Signs and sends this node's requests. */
export class NodeRegistry implements DirectoryBackend {
  readonly #client: RegistryClient;
  readonly #identity: Identity;
  #node = 0;
  /** The wire's signatures are to count for this node again: no whole request is signed until the next start. */
  #isReleased = false;
  /** Distinguishes this run from that of another process with our key, which would be a copy of us. */
  readonly #instance = crypto.randomUUID().replaceAll("-", "").slice(0, 16);
  #clash: IdentityClash | undefined;

  constructor(options: {
    client: RegistryClient;
    identity: Identity;
  }) {
    this.#client = options.client;
    this.#identity = options.identity;
  }

  /** Another process that uses our key, as the registry's last answer has it. */
  get clash(): IdentityClash | undefined {
    return this.#clash;
  }

  /** Our node number; 0 before the first registration. */
  get node(): number {
    return this.#node;
  }

  /** Our identity. */
  get identity(): Identity {
    return this.#identity;
  }

  /** Uses a number known from an earlier run until the registry confirms it. */
  assume(node: number): void {
    this.#node = node;
  }

  /** Registers, and remembers the number given. */
  async register(registration: Registration): Reply<requests.RegisterReply> {
    const { listenAddr, owner, version, lanAddrs, isHidden } = registration;
    const reply = await this.#signed(requests.register, {
      public_key: this.#identity.publicKeyBase64,
      listen_addr: listenAddr,
      owner,
      version,
      protocol_version: 1,
      lan_addrs: lanAddrs,
      instance: this.#instance,
      ...(isHidden === true ? { relay_only: true } : {}),
    });
    if (reply.node_id === 0) {
      throw new PilotError(
        "protocol_error",
        "The registry's answer to register has no node number",
      );
    }
    this.#node = reply.node_id;
    this.#noteClash(reply.clash);
    return reply;
  }

  /** Keeps the registration alive. */
  async heartbeat(): Reply<requests.HeartbeatReply> {
    const fields = { node_id: this.#node, instance: this.#instance };
    const reply = await this.#signed(requests.heartbeat, fields);
    this.#noteClash(reply.clash);
    return reply;
  }

  /** The key registered for a node; undefined when the registry does not know the node. */
  async lookupKey(node: number): Promise<Uint8Array | undefined> {
    try {
      return decodeBase64((await this.lookup(node)).public_key);
    } catch (error) {
      if (error instanceof PilotError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  /** Where a node may be reached: `host:port` or empty, and its LAN addresses. */
  async resolve(node: number): Promise<{ realAddr: string; lanAddrs: string[] }> {
    const fields = { node_id: node, requester_id: this.#node };
    const reply = await this.#signed(requests.resolve, fields).catch((error) => {
      // The registry hides why, but to a registered requester with a good signature only trust can be missing.
      if (!(error instanceof PilotError) || error.code !== "denied") throw error;
      throw new PilotError(
        "untrusted",
        `Node ${node} may not be reached by this node: there is no mutual trust`,
        { advice: { id: "ask_trust", node }, cause: error },
      );
    });
    return { realAddr: reply.real_addr, lanAddrs: [...reply.lan_addrs ?? []] };
  }

  /**
   * Reports to the registry that we trust a peer.
   *
   * @returns Whether the peer has ended trust in us, as far as the registry says.
   */
  async reportTrust(peer: number): Promise<{ isEnded: boolean }> {
    const fields = { node_id: this.#node, peer_id: peer };
    const reply = await this.#signed(requests.reportTrust, fields);
    return { isEnded: reply.ended === true };
  }

  /** Withdraws our trust, or our request, and leaves `message` for the peer; fine when there is nothing. */
  async revokeTrust(peer: number, message: string): Promise<void> {
    const fields = { node_id: this.#node, peer_id: peer, message };
    await this.#signed(requests.revokeTrust, fields).catch((error) => {
      // The registry's masked error for a pair that is not there; what we want is the case already.
      if (!(error instanceof PilotError) || error.code !== "denied") throw error;
    });
  }

  /** Whether the peer consents to us as well as we to it, or we share a network: what the registry knows of it. */
  async checkTrust(peer: number): Promise<boolean> {
    const self = this.#node;
    const fields = { node_id: self, peer_id: peer, requester_id: self };
    return (await this.#signed(requests.checkTrust, fields)).trusted;
  }

  /** Leaves a trust request at the registry; one that waits there already is as good. */
  async requestHandshake(peer: number, justification: string, message: string): Promise<void> {
    const fields = { from_node_id: this.#node, to_node_id: peer, justification, message };
    await this.#signed(requests.requestHandshake, fields).catch((error) => {
      if (!(error instanceof PilotError) || error.code !== "already_exists") throw error;
    });
  }

  /** Fetches what others left for us; `ack` says what we have already, as the last answer named it. */
  pollHandshakes(ack: string): Reply<requests.PollHandshakesReply> {
    return this.#signed(requests.pollHandshakes, { node_id: this.#node, ack });
  }

  /** Answers a trust request through the registry, and leaves `message` for the peer. */
  async respondHandshake(peer: number, accept: boolean, message: string): Promise<void> {
    const fields = { node_id: this.#node, peer_id: peer, accept, message };
    await this.#signed(requests.respondHandshake, fields);
  }

  // ---- DirectoryBackend

  lookup(node: number): Reply<requests.LookupReply> {
    const self = this.#node;
    // Signed, as the registry discloses more to those that may see the node.
    return self === 0
      ? this.#client.call(requests.lookup, { node_id: node })
      : this.#signed(requests.lookup, { node_id: node, requester_id: self });
  }

  resolveHostname(hostname: string): Reply<requests.ResolveHostnameReply> {
    return this.#resolveHostname({ hostname });
  }

  async handshakeTarget(hostname: string): Promise<{ node_id: number; address: string }> {
    const { node_id } = await this.#resolveHostname({ hostname, purpose: "handshake" });
    return { node_id, address: formatAddress({ network: 0, node: node_id }) };
  }

  setHostname(hostname: string): Reply<requests.HostnameFields> {
    return this.#signed(requests.setHostname, { node_id: this.#self(), hostname });
  }

  setVisibility(isPublic: boolean): Reply<requests.SetVisibilityReply> {
    return this.#signed(requests.setVisibility, { node_id: this.#self(), public: isPublic });
  }

  setTags(tags: readonly string[]): Reply<requests.SetTagsReply> {
    return this.#signed(requests.setTags, { node_id: this.#self(), tags });
  }

  deregister(): Reply<requests.NoFields> {
    return this.#signed(requests.deregister, { node_id: this.#self() });
  }

  /** Gives up being held to signatures over whole requests, for software that makes none. */
  async #releaseHold(): Reply<requests.NodeFields> {
    const fields = { node_id: this.#self() };
    const signature = await this.#signature(requests.releaseHold, fields);
    this.#isReleased = true; // at once: a heartbeat that is signed behind it would hold us again
    try {
      const by = { signature, signer: this.#identity };
      return await this.#client.call(requests.releaseHold, fields, by);
    } catch (error) {
      this.#isReleased = false;
      throw error;
    }
  }

  async network(type: string, fields: JsonObject): Promise<JsonObject> {
    if (type === requests.releaseHold.type) return await this.#releaseHold();
    const { request, challenge, isOurs } = networkRequest(this.#self(), type, fields);
    if (!isOurs) return await this.#client.request(request);
    if (challenge === undefined) return await this.#client.request(request, this.#signer);
    const signature = encodeBase64(await this.#identity.sign(challenge));
    return await this.#asRegistered(() =>
      this.#client.request({ ...request, signature }, this.#signer)
    );
  }

  async #resolveHostname(
    fields: requests.ResolveHostnameFields,
  ): Reply<requests.ResolveHostnameReply> {
    return await this.#signed(requests.resolveHostname, {
      ...fields,
      requester_id: this.#self(),
    });
  }

  /** Reports a clash once, and its end. */
  #noteClash(clash: IdentityClash | undefined): void {
    const before = this.#clash;
    this.#clash = clashIn(clash);
    if (this.#clash !== undefined && before === undefined) {
      log.error(clashText(this.#clash), { hint: CLASH_HINT });
    } else if (this.#clash === undefined && before !== undefined) {
      log.info("no other process uses this identity any more");
    }
  }

  /** Signs whole requests, while we do that. */
  get #signer(): Identity | undefined {
    return this.#isReleased ? undefined : this.#identity;
  }

  #self(): number {
    if (this.#node === 0) {
      throw new PilotError("unavailable", "This daemon is not registered yet", {
        advice: { id: "await_registration" },
      });
    }
    return this.#node;
  }

  async #signature<F extends object>(request: RegistryRequest<F>, fields: F): Promise<string> {
    return encodeBase64(await this.#identity.sign(signedText(request, fields)!));
  }

  async #signed<F extends object, R extends object>(
    request: RegistryRequest<F, R>,
    fields: F,
  ): Reply<R> {
    const signature = await this.#signature(request, fields);
    return await this.#asRegistered(() =>
      this.#client.call(request, fields, { signature, signer: this.#signer })
    );
  }

  async #asRegistered<T>(ask: () => Promise<T>): Promise<T> {
    const node = this.#node;
    try {
      return await ask();
    } catch (error) {
      if (!saysAbsent(error, node)) throw error;
      // It has not heard from us for long. That does not answer the request, which can wait for our registration.
      throw new PilotError("unavailable", "The registry takes this node for absent", {
        advice: { id: "await_registration" },
        cause: error,
      });
    }
  }
}
