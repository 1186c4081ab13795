/**
 * Who is trusted, who asked and whom we asked: the state machine of the trust handshake (daemon.md §5.3).
 *
 * @module
 */

import { equalBytes } from "../crypto/base64.ts";
import { isUsablePublicKey } from "../crypto/verify.ts";
import { PilotError } from "../errors.ts";
import { formatTrustFile, parseTrustFile } from "./file.ts";
import { handshakeHash, type HandshakeMessage } from "./message.ts";
import {
  cleanText,
  OUTGOING_MAX,
  type OutgoingRequest,
  PENDING_MAX,
  type PendingRequest,
  REQUEST_TTL_MS,
  REVOKE_COOLDOWN_MS,
  REVOKED_MAX,
  TRUSTED_MAX,
  type TrustedPeer,
  type TrustSource,
} from "./peer.ts";
import { ReplaySet } from "./replay_set.ts";

/** What is known about an incoming request. */
export interface RequestContext {
  /** The sender's verified key, 32 bytes; relayed requests may come without. */
  readonly publicKey?: Uint8Array;
  /** Why it asks. */
  readonly justification?: string;
  /** Unix milliseconds. */
  readonly now: number;
  /** A network both are members of; 0 (the backbone) does not count. */
  readonly sharedNetwork?: number;
  /** Whether everybody is approved automatically. */
  readonly autoApprove?: boolean;
}

/** What to do about an incoming request. */
export type RequestOutcome =
  | {
    /** Send an accept and report trust to the registry. */
    readonly action: "accept";
    /** Why. */
    readonly reason: "already" | "mutual" | "same_network" | "auto_approve";
  }
  | {
    /** Wait for approval; nothing is sent. */
    readonly action: "pending";
  }
  | {
    /** Do nothing but report it. */
    readonly action: "ignore";
    /** `key_changed`: trusted under another key. `limit`: no room. */
    readonly reason: "key_changed" | "limit";
  };

/** What became of an incoming accept. */
export type AcceptOutcome =
  | {
    /** The peer is trusted now; report it to the registry. */
    readonly action: "trusted";
  }
  | {
    /** Nothing changed. */
    readonly action: "ignore";
    /** `unsolicited`: we did not ask. The others as in {@linkcode RequestOutcome}. */
    readonly reason: "already" | "unsolicited" | "key_changed" | "limit";
  };

/** When something happened and, where known, with which key. */
export interface PeerContext {
  /** Unix milliseconds. */
  readonly now: number;
  /** The peer's verified key, 32 bytes. */
  readonly publicKey?: Uint8Array;
}

/** The trust state of one node. Does no I/O: the caller saves it when {@linkcode TrustState.revision} has changed. */
export class TrustState {
  readonly #trusted: Map<number, TrustedPeer> = new Map();
  readonly #pending: Map<number, PendingRequest> = new Map();
  readonly #outgoing: Map<number, OutgoingRequest> = new Map();
  /** Node to Unix ms until which it is not approved automatically. */
  readonly #revoked: Map<number, number> = new Map();
  readonly #replays = new ReplaySet();
  #revision = 0;

  /**
   * Reads trust.json (daemon.md §5.7).
   *
   * @param json The file's text.
   * @returns The state.
   * @throws {PilotError} `invalid_argument` when the file is damaged.
   */
  static fromFile(json: string): TrustState {
    const file = parseTrustFile(json);
    const state = new TrustState();
    for (const peer of file.trusted) state.#trusted.set(peer.nodeId, peer);
    for (const item of file.pending) {
      if (!state.isTrusted(item.nodeId)) state.#pending.set(item.nodeId, item);
    }
    for (const item of file.outgoing) {
      if (!state.isTrusted(item.nodeId)) state.#outgoing.set(item.nodeId, item);
    }
    for (const item of file.revoked) {
      state.#revoked.set(item.nodeId, item.until);
    }
    return state;
  }

  /**
   * Writes trust.json (daemon.md §5.7).
   *
   * @returns JSON with two-space indent and a final newline; to be written with mode 0600.
   */
  toFile(): string {
    return formatTrustFile({
      trusted: this.trusted(),
      pending: this.pending(),
      outgoing: this.outgoing(),
      revoked: [...this.#revoked].map(([nodeId, until]) => ({ nodeId, until })),
    });
  }

  /** Rises with each change that {@linkcode TrustState.toFile} shows. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Tells whether a node is trusted.
   *
   * @param node Node number.
   * @returns True when it is.
   */
  isTrusted(node: number): boolean {
    return this.#trusted.has(node);
  }

  /**
   * Looks up a pinned key, to be preferred to the registry's (daemon.md §2.10).
   *
   * @param node Node number.
   * @returns The key pinned for a trusted node; `undefined` when it is not trusted or its key is not known yet.
   */
  pinnedKey(node: number): Uint8Array | undefined {
    return this.#trusted.get(node)?.publicKey;
  }

  /** Lists the trusted peers, in the order in which they became so. */
  trusted(): TrustedPeer[] {
    return [...this.#trusted.values()];
  }

  /** Lists the requests waiting for approval, the first to arrive first. */
  pending(): PendingRequest[] {
    return [...this.#pending.values()];
  }

  /** Lists our own unanswered requests, the first one first. */
  outgoing(): OutgoingRequest[] {
    return [...this.#outgoing.values()];
  }

  /**
   * Recognises replayed messages (daemon.md §5.2). To be asked once for each message, after it was verified.
   *
   * @param message The verified message.
   * @param now Unix milliseconds.
   * @returns True when it may be acted upon; false when it was seen before or its sender sent too many.
   */
  firstSight(message: HandshakeMessage, now: number): boolean {
    return this.#replays.add(handshakeHash(message), message.nodeId, now);
  }

  /**
   * Judges a verified incoming request (daemon.md §5.3 a to e).
   *
   * @param from Node number of the sender.
   * @param context What is known about it.
   * @returns What to do.
   */
  onRequest(from: number, context: RequestContext): RequestOutcome {
    if (this.#isKeyChange(from, context)) return ignore("key_changed");
    if (this.#trusted.has(from)) {
      this.#update(from, context);
      return { action: "accept", reason: "already" };
    }
    const source = this.#automaticApproval(from, context);
    if (source === undefined) return this.#addPending(from, context);
    if (!this.#trust(from, source, context, context.sharedNetwork)) {
      return ignore("limit");
    }
    return { action: "accept", reason: source };
  }

  /**
   * Takes a verified or relayed accept. Only the answer to a request of ours counts: a peer whose own request is
   * pending here must not be able to approve it itself.
   *
   * @param from Node number of the sender.
   * @param context When, and the sender's key where known.
   * @returns What became of it.
   */
  onAccept(from: number, context: PeerContext): AcceptOutcome {
    if (this.#isKeyChange(from, context)) return ignore("key_changed");
    if (this.#trusted.has(from)) {
      this.#update(from, context);
      return ignore("already");
    }
    if (!this.#outgoing.has(from)) return ignore("unsolicited");
    if (!this.#trust(from, "accepted", context)) return ignore("limit");
    return { action: "trusted" };
  }

  /**
   * Takes a verified or relayed reject.
   *
   * @param from Node number of the sender.
   * @returns Whether it answered a request of ours.
   */
  onReject(from: number): boolean {
    return this.#changed(this.#outgoing.delete(from));
  }

  /**
   * Takes a verified revoke: the peer is forgotten altogether.
   *
   * @param from Node number of the sender.
   * @returns Whether it was trusted, so that tunnel and registry pair are to be removed.
   */
  onRevoke(from: number): boolean {
    const wasTrusted = this.#trusted.has(from);
    this.#forget(from);
    return wasTrusted;
  }

  /**
   * Notes that we ask a peer for trust, before the request is sent. Lifts the peer's cool-down.
   *
   * @param node Node number of the peer.
   * @param now Unix milliseconds.
   * @returns `trusted` when there is nothing to ask for, else `sent`.
   * @throws {PilotError} `limit_exceeded` when {@linkcode OUTGOING_MAX} requests are unanswered.
   */
  request(node: number, now: number): "trusted" | "sent" {
    if (this.#trusted.has(node)) return "trusted";
    this.reap(now);
    if (!this.#outgoing.has(node) && this.#outgoing.size >= OUTGOING_MAX) {
      throw new PilotError(
        "limit_exceeded",
        `${OUTGOING_MAX} trust requests are unanswered`,
        { hint: "Withdraw one of them by revoking trust in its node." },
      );
    }
    this.#revoked.delete(node);
    this.#outgoing.set(node, { nodeId: node, requestedAt: now });
    this.#revision++;
    return "sent";
  }

  /**
   * Approves a pending request.
   *
   * @param node Node number of the peer.
   * @param context When, and the peer's key if it became known since.
   * @returns The peer, to be sent an accept and reported to the registry.
   * @throws {PilotError} `not_found` without a pending request, `denied` when its key is not the given one,
   * `limit_exceeded` when {@linkcode TRUSTED_MAX} peers are trusted.
   */
  approve(node: number, context: PeerContext): TrustedPeer {
    const request = this.#pending.get(node);
    if (request === undefined) throw this.#notPending(node);
    const { publicKey } = request;
    if (publicKey !== undefined && differs(publicKey, context.publicKey)) {
      throw new PilotError(
        "denied",
        `Node ${node} asked for trust with a key that is not its own now`,
        { hint: "Reject the request and let the node ask again." },
      );
    }
    const known = publicKey === undefined ? context : { ...context, publicKey };
    if (!this.#trust(node, "approved", known)) {
      throw new PilotError(
        "limit_exceeded",
        `${TRUSTED_MAX} peers are trusted already`,
        { hint: "Revoke trust in peers that are no longer needed." },
      );
    }
    return this.#trusted.get(node)!;
  }

  /**
   * Rejects a pending request.
   *
   * @param node Node number of the peer.
   * @throws {PilotError} `not_found` without a pending request.
   */
  reject(node: number): void {
    if (!this.#pending.delete(node)) throw this.#notPending(node);
    this.#revision++;
  }

  /**
   * Ends trust in a peer, or withdraws our request to it. For {@linkcode REVOKE_COOLDOWN_MS} a revoked peer is
   * not approved automatically; its requests wait for a decision.
   *
   * @param node Node number of the peer.
   * @param now Unix milliseconds.
   * @returns Whether the peer was trusted; false when only a request was withdrawn.
   * @throws {PilotError} `not_found` when there was neither.
   */
  revoke(node: number, now: number): boolean {
    const wasTrusted = this.#trusted.has(node);
    if (!wasTrusted && !this.#outgoing.has(node)) {
      this.#forget(node);
      throw new PilotError("not_found", `Node ${node} was not trusted`);
    }
    this.#forget(node);
    if (!wasTrusted) return false;
    this.#revoked.delete(node);
    this.#revoked.set(node, now + REVOKE_COOLDOWN_MS);
    if (this.#revoked.size > REVOKED_MAX) {
      const [first] = this.#revoked.keys();
      this.#revoked.delete(first!);
    }
    return true;
  }

  /**
   * Pins the key of a trusted peer that was trusted without one.
   *
   * @param node Node number of the peer.
   * @param publicKey Its key as the registry has it, 32 bytes.
   * @returns `pinned` now or before, `changed` when another key is pinned (which stays), `unknown` when the node
   * is not trusted or the bytes are no key.
   */
  pinKey(
    node: number,
    publicKey: Uint8Array,
  ): "pinned" | "changed" | "unknown" {
    const peer = this.#trusted.get(node);
    if (peer === undefined) return "unknown";
    if (peer.publicKey !== undefined) {
      return equalBytes(peer.publicKey, publicKey) ? "pinned" : "changed";
    }
    if (!isUsablePublicKey(publicKey)) return "unknown";
    this.#trusted.set(node, { ...peer, publicKey: publicKey.slice() });
    this.#revision++;
    return "pinned";
  }

  /**
   * Forgets what has expired. To be called now and then; local requests and incoming ones do it too.
   *
   * @param now Unix milliseconds.
   */
  reap(now: number): void {
    this.#replays.reap(now);
    for (const [node, { receivedAt }] of this.#pending) {
      if (now - receivedAt > REQUEST_TTL_MS) {
        this.#changed(this.#pending.delete(node));
      }
    }
    for (const [node, { requestedAt }] of this.#outgoing) {
      if (now - requestedAt > REQUEST_TTL_MS) {
        this.#changed(this.#outgoing.delete(node));
      }
    }
    for (const [node, until] of this.#revoked) {
      if (until <= now) this.#changed(this.#revoked.delete(node));
    }
  }

  #isKeyChange(node: number, { publicKey }: PeerContext): boolean {
    const pinned = this.pinnedKey(node);
    return pinned !== undefined && differs(pinned, publicKey);
  }

  #automaticApproval(
    from: number,
    context: RequestContext,
  ): "mutual" | "same_network" | "auto_approve" | undefined {
    if (this.#outgoing.has(from)) return "mutual";
    if ((this.#revoked.get(from) ?? 0) > context.now) return undefined;
    if ((context.sharedNetwork ?? 0) !== 0) return "same_network";
    return context.autoApprove === true ? "auto_approve" : undefined;
  }

  #addPending(from: number, context: RequestContext): RequestOutcome {
    this.reap(context.now);
    if (!this.#pending.has(from) && this.#pending.size >= PENDING_MAX) {
      return ignore("limit");
    }
    this.#pending.set(from, {
      nodeId: from,
      ...copyKey(context.publicKey),
      justification: cleanText(context.justification ?? ""),
      receivedAt: context.now,
    });
    this.#revision++;
    return { action: "pending" };
  }

  /** @returns False when there is no room. */
  #trust(
    node: number,
    source: TrustSource,
    context: PeerContext,
    network: number = 0,
  ): boolean {
    if (this.#trusted.size >= TRUSTED_MAX) return false;
    this.#forget(node);
    this.#revoked.delete(node);
    this.#trusted.set(node, {
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

  /** A trusted peer shows that it trusts us too, perhaps with the key that was missing. */
  #update(node: number, { publicKey }: PeerContext): void {
    if (publicKey !== undefined) this.pinKey(node, publicKey);
    const peer = this.#trusted.get(node)!;
    if (!peer.mutual) {
      this.#trusted.set(node, { ...peer, mutual: true });
      this.#revision++;
    }
  }

  #forget(node: number): void {
    this.#changed(this.#trusted.delete(node));
    this.#changed(this.#pending.delete(node));
    this.#changed(this.#outgoing.delete(node));
  }

  #changed(changed: boolean): boolean {
    if (changed) this.#revision++;
    return changed;
  }

  #notPending(node: number): PilotError {
    return new PilotError(
      "not_found",
      this.#trusted.has(node)
        ? `Node ${node} has no pending request: it is trusted already`
        : `Node ${node} has no pending request`,
      { hint: "List the pending requests to see who asked." },
    );
  }
}

function ignore<R extends string>(reason: R): { action: "ignore"; reason: R } {
  return { action: "ignore", reason };
}

function differs(known: Uint8Array, shown: Uint8Array | undefined): boolean {
  return shown !== undefined && !equalBytes(known, shown);
}

/** Bytes that are no key, as a broken registry may hand out, count as a key that is not known yet. */
function copyKey(key: Uint8Array | undefined): { publicKey?: Uint8Array } {
  return key === undefined || !isUsablePublicKey(key) ? {} : { publicKey: key.slice() };
}
