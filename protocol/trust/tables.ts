/**
 * What a node knows of trust, and how it is stored; what follows from it is decided in `state.ts`.
 *
 * @module
 */

import { equalBytes } from "../crypto/base64.ts";
import { isUsablePublicKey } from "../crypto/verify_signature.ts";
import { formatTrustFile, type TrustFile } from "./file.ts";
import type { HandshakeType } from "./message.ts";
import { Outbox } from "./trust_outbox.ts";
import type { PeerContext } from "./outcome.ts";
import {
  type OutgoingRequest,
  type PendingRequest,
  type Statement,
  TRUSTED_MAX,
  type TrustedPeer,
  type TrustSource,
} from "./trust_peer.ts";
import { PendingTable } from "./pending_table.ts";
import { SeenOrders } from "./seen.ts";

/** The tables of a {@linkcode TrustState}. */
export abstract class TrustTables {
  /** Trusted peers by node. */
  protected readonly peers: Map<number, TrustedPeer> = new Map();
  /** Requests of others that wait for a decision. */
  protected readonly requests: PendingTable = new PendingTable();
  /** Our requests that wait for an answer, by node. */
  protected readonly asked: Map<number, OutgoingRequest> = new Map();
  /** Node to Unix ms until which only a decision here brings it back. */
  protected readonly ended: Map<number, number> = new Map();
  /** What is owed to peers. */
  protected readonly outbox: Outbox = new Outbox();
  readonly #orders = new SeenOrders();
  #revision = 0;

  /** Takes what was stored. */
  protected load(file: TrustFile): void {
    for (const peer of file.trusted) this.peers.set(peer.nodeId, peer);
    for (const item of file.pending) {
      if (!this.isTrusted(item.nodeId)) this.requests.put(item);
    }
    for (const item of file.outgoing) this.asked.set(item.nodeId, item);
    for (const item of file.revoked) this.ended.set(item.nodeId, item.until);
    for (const item of file.seen) this.#orders.load(item.nodeId, item.order);
    this.outbox.load(file.lastOrder, file.owed);
  }

  /**
   * Writes trust.json (docs/protocol/trust.md §6).
   *
   * @returns JSON with two-space indent and a final newline; to be written with mode 0600.
   */
  toFile(): string {
    return formatTrustFile({
      trusted: this.trusted(),
      pending: this.pending(),
      outgoing: this.outgoing(),
      revoked: [...this.ended].map(([nodeId, until]) => ({ nodeId, until })),
      owed: this.owed(),
      seen: this.#orders.all(),
      lastOrder: this.outbox.lastOrder,
    });
  }

  /** Rises with each change that {@linkcode TrustState.toFile} shows. */
  get revision(): number {
    return this.#revision;
  }

  /** Is a node trusted, for whatever reason? */
  isTrusted(node: number): boolean {
    return this.peers.has(node);
  }

  /**
   * Is a node trusted by consent? One that is trusted only as a member of a network is so for as long as the registry
   * says that both are members.
   */
  hasConsent(node: number): boolean {
    const peer = this.peers.get(node);
    return peer !== undefined && peer.source !== "same_network";
  }

  /** Was trust in a node ended here and not renewed? Then not even a common network lets it in. */
  isRevoked(node: number): boolean {
    return this.ended.has(node);
  }

  /** Is an answer of this node to a request of ours outstanding, or one of ours to its own? */
  isExpected(node: number): boolean {
    return this.asked.has(node) || this.requests.has(node);
  }

  /** Have we asked this node and not been answered? */
  isAsked(node: number): boolean {
    return this.asked.has(node);
  }

  /**
   * The key pinned for a trusted node once it is known, to be preferred to the registry's
   * (docs/protocol/tunnel.md §4.4).
   */
  pinnedKey(node: number): Uint8Array | undefined {
    return this.peers.get(node)?.publicKey;
  }

  /** What is known of a trusted peer. */
  peer(node: number): TrustedPeer | undefined {
    return this.peers.get(node);
  }

  /** Lists the trusted peers, in the order in which they became so. */
  trusted(): TrustedPeer[] {
    return [...this.peers.values()];
  }

  /** Lists the requests waiting for approval, the first to arrive first. */
  pending(): PendingRequest[] {
    return this.requests.all();
  }

  /** Lists our own unanswered requests, the first one first. */
  outgoing(): OutgoingRequest[] {
    return [...this.asked.values()];
  }

  /** What is owed to peers, through the registry and as directly as possible; the oldest first. */
  owed(): Statement[] {
    return this.outbox.all();
  }

  /** How far the statements of a node have been acted upon; 0 when it has made none. */
  seenOrder(node: number): number {
    return this.#orders.get(node) ?? 0;
  }

  /** What a node said up to this order was acted upon before a crash. */
  protected restoreSeen(node: number, order: number): void {
    if (order > this.seenOrder(node)) this.#orders.load(node, order);
  }

  /** Is this the newest that the peer has said? Notes its place. */
  protected isNew(node: number, { order, now }: PeerContext): boolean {
    if (order === undefined) return true;
    if (!this.#orders.take(node, order, now)) return false;
    this.#revision++;
    this.#orders.trim(
      this.peers.size + this.ended.size + this.asked.size,
      (other) => this.peers.has(other) || this.ended.has(other) || this.isExpected(other),
    );
    return true;
  }

  /** Is this the answer to our request, as far as it says? */
  protected isAnswered(node: number, { re }: PeerContext): boolean {
    const asked = this.asked.get(node);
    return asked !== undefined && (re === undefined || re >= asked.order);
  }

  /** Does the peer show another key than the pinned one? */
  protected isKeyChange(node: number, { publicKey }: PeerContext): boolean {
    const pinned = this.pinnedKey(node);
    return pinned !== undefined && differs(pinned, publicKey);
  }

  /** Trusts a peer; false when there is no room. */
  protected setTrust(
    node: number,
    source: TrustSource,
    context: PeerContext,
    network: number = 0,
  ): boolean {
    if (this.peers.size >= TRUSTED_MAX) return false;
    this.forgetPeer(node);
    this.ended.delete(node);
    this.peers.set(node, {
      nodeId: node,
      ...copyKey(context.publicKey),
      approvedAt: context.now,
      // Every way to get here has the peer's consent: its request, or its accept.
      mutual: true,
      ...(source === "same_network" ? { network } : {}),
      source,
    });
    this.#revision++;
    return true;
  }

  /** Owes a statement to a peer. */
  protected say(node: number, type: HandshakeType, now: number, text: string = ""): Statement {
    const re = this.#orders.get(node);
    this.#revision++;
    const statement = { nodeId: node, type, text, ...(re === undefined ? {} : { re }) };
    return this.outbox.say(statement, now);
  }

  /** Forgets a peer and owes it the statement that trust has ended. */
  protected endTrust(node: number, now: number, reason: string): void {
    this.forgetPeer(node);
    this.say(node, "handshake_revoke", now, reason);
  }

  /** Forgets trust in a peer and requests either way. */
  protected forgetPeer(node: number): void {
    this.noteChange(this.peers.delete(node));
    this.noteChange(this.requests.delete(node));
    this.noteChange(this.asked.delete(node));
  }

  /** Notes that what is stored has changed, unless `changed` is false, which it gives back. */
  protected noteChange(changed: boolean = true): boolean {
    if (changed) this.#revision++;
    return changed;
  }
}

/** Was a key shown, and another one than the known? */
export function differs(known: Uint8Array, shown: Uint8Array | undefined): boolean {
  return shown !== undefined && !equalBytes(known, shown);
}

/** Bytes that are no key, as a broken registry may hand out, count as a key that is not known yet. */
export function copyKey(key: Uint8Array | undefined): { publicKey?: Uint8Array } {
  return key === undefined || !isUsablePublicKey(key) ? {} : { publicKey: key.slice() };
}
