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
  challenges,
  type DeregisterReply,
  type JsonObject,
  type LookupReply,
  numberField,
  type ResolveHostnameReply,
  type SetHostnameReply,
  type SetTagsReply,
  type SetVisibilityReply,
  textField,
  textListField,
} from "../../protocol/registry/registry_message.ts";
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

/** What a node tells the registry about itself. */
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
  /** Tells this run from that of another process with our key, which would be a copy of us. */
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
  async register(registration: Registration): Promise<JsonObject> {
    const { listenAddr, owner, version, lanAddrs, isHidden } = registration;
    const publicKey = this.#identity.publicKeyBase64;
    const reply = await this.#signed(challenges.register(listenAddr, publicKey), {
      type: "register",
      public_key: publicKey,
      listen_addr: listenAddr,
      owner,
      version,
      protocol_version: 1,
      lan_addrs: [...lanAddrs],
      instance: this.#instance,
      ...(isHidden === true ? { relay_only: true } : {}),
    });
    const node = numberField(reply, "node_id");
    if (node === 0) {
      throw new PilotError(
        "protocol_error",
        "The registry's answer to register has no node number",
      );
    }
    this.#node = node;
    this.#noteClash(reply);
    return reply;
  }

  /** Keeps the registration alive. */
  async heartbeat(): Promise<JsonObject> {
    const node = this.#node;
    const reply = await this.#signed(challenges.heartbeat(node), {
      type: "heartbeat",
      node_id: node,
      instance: this.#instance,
    });
    this.#noteClash(reply);
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
    const self = this.#node;
    const reply = await this.#signed(challenges.resolve(self, node), {
      type: "resolve",
      node_id: node,
      requester_id: self,
    }).catch((error) => {
      // The registry hides why, but to a registered requester with a good signature only trust can be missing.
      if (!(error instanceof PilotError) || error.code !== "denied") throw error;
      throw new PilotError(
        "untrusted",
        `Node ${node} may not be reached by this node: there is no mutual trust`,
        { hint: `Ask for it with \`pilotctl handshake ${node}\`.`, cause: error },
      );
    });
    return { realAddr: textField(reply, "real_addr"), lanAddrs: textListField(reply, "lan_addrs") };
  }

  /**
   * Tells the registry that we trust a peer.
   *
   * @returns Whether the peer has ended trust in us, as far as the registry says.
   */
  async reportTrust(peer: number): Promise<{ isEnded: boolean }> {
    const reply = await this.#signed(challenges.reportTrust(this.#node, peer), {
      type: "report_trust",
      node_id: this.#node,
      peer_id: peer,
    });
    return { isEnded: reply.ended === true };
  }

  /** Takes back our word of trust, or our request, and leaves `message` for the peer; fine when there is nothing. */
  async revokeTrust(peer: number, message: string): Promise<void> {
    await this.#signed(challenges.revokeTrust(this.#node, peer), {
      type: "revoke_trust",
      node_id: this.#node,
      peer_id: peer,
      message,
    }).catch((error) => {
      // The registry's masked error for a pair that is not there; what we want is the case already.
      if (!(error instanceof PilotError) || error.code !== "denied") throw error;
    });
  }

  /** Whether the peer consents to us as well as we to it, or we share a network: what the registry knows of it. */
  async checkTrust(peer: number): Promise<boolean> {
    const self = this.#node;
    const reply = await this.#signed(challenges.checkTrust(self, self, peer), {
      type: "check_trust",
      node_id: self,
      peer_id: peer,
      requester_id: self,
    });
    return reply.trusted === true;
  }

  /** Leaves a trust request at the registry; one that waits there already is as good. */
  async requestHandshake(peer: number, justification: string, message: string): Promise<void> {
    await this.#signed(challenges.handshake(this.#node, peer), {
      type: "request_handshake",
      from_node_id: this.#node,
      to_node_id: peer,
      justification,
      message,
    }).catch((error) => {
      if (!(error instanceof PilotError) || error.code !== "already_exists") throw error;
    });
  }

  /** Fetches what others left for us; `ack` says what we have already, as the last answer named it. */
  pollHandshakes(ack: string): Promise<JsonObject> {
    const node = this.#node;
    return this.#signed(challenges.pollHandshakes(node), {
      type: "poll_handshakes",
      node_id: node,
      ack,
    });
  }

  /** Answers a trust request through the registry, and leaves `message` for the peer. */
  async respondHandshake(peer: number, accept: boolean, message: string): Promise<void> {
    await this.#signed(challenges.respondHandshake(this.#node, peer), {
      type: "respond_handshake",
      node_id: this.#node,
      peer_id: peer,
      accept,
      message,
    });
  }

  // ---- DirectoryBackend

  lookup(node: number): Promise<LookupReply> {
    const self = this.#node;
    const request = { type: "lookup", node_id: node };
    // Signed, as the registry tells more to those who may see the node.
    return self === 0
      ? this.#client.request(request) as Promise<unknown> as Promise<LookupReply>
      : this.#signed(challenges.lookup(self, node), { ...request, requester_id: self });
  }

  resolveHostname(hostname: string): Promise<ResolveHostnameReply> {
    return this.#resolveHostname(hostname, {});
  }

  async handshakeTarget(hostname: string): Promise<{ node_id: number; address: string }> {
    const { node_id: node } = await this.#resolveHostname(hostname, { purpose: "handshake" });
    return { node_id: node, address: formatAddress({ network: 0, node }) };
  }

  setHostname(hostname: string): Promise<SetHostnameReply> {
    const node_id = this.#self();
    return this.#signed(challenges.setHostname(node_id), {
      type: "set_hostname",
      node_id,
      hostname,
    });
  }

  setVisibility(isPublic: boolean): Promise<SetVisibilityReply> {
    const node_id = this.#self();
    return this.#signed(challenges.setVisibility(node_id), {
      type: "set_visibility",
      node_id,
      public: isPublic,
    });
  }

  setTags(tags: readonly string[]): Promise<SetTagsReply> {
    const node_id = this.#self();
    return this.#signed(challenges.setTags(node_id), {
      type: "set_tags",
      node_id,
      tags: [...tags],
    });
  }

  deregister(): Promise<DeregisterReply> {
    const node_id = this.#self();
    return this.#signed(challenges.deregister(node_id), { type: "deregister", node_id });
  }

  /** Gives up being held to signatures over whole requests, for software that makes none. */
  async #releaseHold(): Promise<JsonObject> {
    const node_id = this.#self();
    const signature = encodeBase64(await this.#identity.sign(challenges.releaseHold(node_id)));
    const request = { type: "release_hold", node_id, signature };
    this.#isReleased = true; // at once: a heartbeat that is signed behind it would hold us again
    try {
      return await this.#client.request(request, this.#identity);
    } catch (error) {
      this.#isReleased = false;
      throw error;
    }
  }

  async network(type: string, fields: JsonObject): Promise<JsonObject> {
    if (type === "release_hold") return await this.#releaseHold();
    const { request, challenge, isWhole } = networkRequest(this.#self(), type, fields);
    return challenge === undefined
      ? await this.#client.request(request, isWhole === true ? this.#signer : undefined)
      : await this.#signed(challenge, request);
  }

  async #resolveHostname(hostname: string, extra: JsonObject): Promise<ResolveHostnameReply> {
    const requester = this.#self();
    return await this.#signed(challenges.resolveHostname(requester, hostname), {
      type: "resolve_hostname",
      hostname,
      requester_id: requester,
      ...extra,
    });
  }

  /** Tells a clash once, and its end. */
  #noteClash(reply: JsonObject): void {
    const before = this.#clash;
    this.#clash = clashIn(reply.clash);
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
        hint: "It keeps trying to reach the registry; see `pilotctl info`.",
      });
    }
    return this.#node;
  }

  async #signed<T = JsonObject>(challenge: Uint8Array, request: JsonObject): Promise<T> {
    const signature = encodeBase64(await this.#identity.sign(challenge));
    const node = this.#node;
    try {
      return await this.#client.request({ ...request, signature }, this.#signer) as T;
    } catch (error) {
      if (!saysAbsent(error, node)) throw error;
      // It has not heard of us for long. That is no answer to what was asked, which can wait for our registration.
      throw new PilotError("unavailable", "The registry takes this node for absent", {
        hint: "The daemon registers again by itself; see `pilotctl info`.",
        cause: error,
      });
    }
  }
}
