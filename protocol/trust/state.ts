/**
 * Who is trusted, who asked and which nodes we asked: the state machine of the trust handshake
 * (docs/protocol/trust.md §3).
 *
 * Two nodes agree in the end whatever is lost, doubled or late, because what a node says is kept until it has been
 * taken ({@linkcode Outbox}), the last statement of each counts (`order`), and an answer says what it answers (`re`).
 *
 * @module
 */

import { equalBytes } from "../crypto/base64.ts";
import { isUsablePublicKey } from "../crypto/verify_signature.ts";
import { PilotError } from "../errors.ts";
import { parseTrustFile } from "./file.ts";
import { handshakeHash, type HandshakeMessage } from "./message.ts";
import type {
  AcceptOutcome,
  PeerContext,
  RejectOutcome,
  RequestContext,
  RequestOutcome,
} from "./outcome.ts";
import {
  cleanText,
  OUTGOING_MAX,
  REQUEST_TTL_MS,
  REVOKED_MAX,
  REVOKED_UNTIL_MS,
  SOURCE_MAX_CHARS,
  type Statement,
  TRUSTED_MAX,
  type TrustedPeer,
} from "./trust_peer.ts";
import { ReplaySet } from "./replay_set.ts";
import { copyKey, differs, TrustTables } from "./tables.ts";

/** The trust state of one node. Does no I/O: the caller saves it when {@linkcode TrustState.revision} has changed. */
export class TrustState extends TrustTables {
  readonly #replays = new ReplaySet();

  /**
   * Reads trust.json (docs/protocol/trust.md §6).
   *
   * @param json The file's text.
   * @returns The state.
   * @throws {PilotError} `invalid_argument` when the file is damaged.
   */
  static fromFile(json: string): TrustState {
    const state = new TrustState();
    state.load(parseTrustFile(json));
    return state;
  }

  /** The registry keeps a statement for its receiver now; a newer one to the same stays owed. */
  delivered({ nodeId, order }: Statement): void {
    this.noteChange(this.outbox.taken(nodeId, order));
  }

  /**
   * Recognizes replays of messages without `order` (docs/protocol/trust.md §2). To be asked once for each message,
   * after it was verified.
   *
   * @param message The verified message.
   * @param now Unix milliseconds.
   * @returns True when it may be acted upon; false when it was seen before or its sender sent too many.
   */
  firstSight(message: HandshakeMessage, now: number): boolean {
    return this.#replays.add(handshakeHash(message), message.nodeId, now);
  }

  /**
   * Judges a verified incoming request (docs/protocol/trust.md §3.2).
   *
   * @param from Node number of the sender.
   * @param context What is known about it.
   * @returns What to do.
   */
  onRequest(from: number, context: RequestContext): RequestOutcome {
    if (this.isKeyChange(from, context)) return ignore("key_changed");
    if (!this.isNew(from, context)) {
      // It came directly first, from anywhere: among the requests of a flood it would have to go.
      this.noteChange(this.requests.learnSource(from, cleanSource(context)));
      this.#answerLate(from, context);
      return ignore("stale");
    }
    if (this.peers.has(from)) {
      this.#update(from, context);
      this.say(from, "handshake_accept", context.now);
      return { action: "accept", reason: "already" };
    }
    const source = this.#automaticApproval(from, context);
    if (source === undefined) return this.#addPending(from, context);
    if (!this.setTrust(from, source, context, context.sharedNetwork)) return ignore("limit");
    this.say(from, "handshake_accept", context.now);
    return { action: "accept", reason: source };
  }

  /**
   * A peer that lost its last words (a full disk, a restored backup) waits for an answer to what it has withdrawn or
   * asked again since. A report of the state answers no newer request, as `re` shows.
   */
  #answerLate(from: number, { order, now }: RequestContext): void {
    if (order === undefined || order >= this.seenOrder(from)) return;
    // Something newer is on its way, or is to be decided first.
    if (this.isExpected(from) || this.owed().some(({ nodeId }) => nodeId === from)) return;
    if (this.isTrusted(from)) this.say(from, "handshake_accept", now);
    else this.say(from, "handshake_reject", now, "the request was withdrawn");
  }

  /**
   * Takes a verified or relayed accept. Only the answer to a request of ours counts: a peer whose own request is
   * pending here must not be able to approve it itself, nor an old answer a newer request.
   *
   * @param from Node number of the sender.
   * @param context When, and the sender's key where known.
   * @returns What became of it.
   */
  onAccept(from: number, context: PeerContext): AcceptOutcome {
    if (this.isKeyChange(from, context)) return ignore("key_changed");
    if (!this.isNew(from, context)) return ignore("stale");
    if (this.peers.has(from)) {
      this.#update(from, context);
      return ignore("already");
    }
    if (!this.isAnswered(from, context)) return ignore("unsolicited");
    if (!this.setTrust(from, "accepted", context)) return ignore("limit");
    return { action: "trusted" };
  }

  /** Takes a verified or relayed reject. Hearsay ends a request of ours, not trust. */
  onReject(from: number, context: PeerContext): RejectOutcome {
    if (this.isKeyChange(from, context) || !this.isNew(from, context)) return "ignored";
    if (!this.isAnswered(from, context)) return "ignored";
    if (context.isHearsay === true && this.isTrusted(from)) {
      this.doubt(from);
      this.noteChange(this.asked.delete(from));
      return "rejected";
    }
    // We may have asked again because it did not seem to trust us, and it does not.
    return this.#endByPeer(from, context.now);
  }

  /**
   * Takes a verified revoke: what the peer had granted or asked for ends. A request of ours that it does not know
   * of yet stays open.
   *
   * @param from Node number of the sender.
   * @param context When, and the sender's key where known.
   * @returns What ended with it.
   */
  onRevoke(from: number, context: PeerContext): RejectOutcome {
    if (this.isKeyChange(from, context) || !this.isNew(from, context)) return "ignored";
    this.noteChange(this.requests.delete(from));
    const isAnswer = context.re !== undefined && this.isAnswered(from, context);
    if (isAnswer) return this.#endByPeer(from, context.now);
    if (!this.peers.delete(from)) return "ignored";
    this.noteChange();
    // A newer request of ours is our statement now.
    if (!this.asked.has(from)) this.#takeBack(from, context.now);
    return "ended";
  }

  /** Forgets our request that a peer has refused, and the peer if it was trusted. */
  #endByPeer(node: number, now: number): "ended" | "rejected" {
    this.asked.delete(node);
    const wasTrusted = this.peers.delete(node);
    this.noteChange();
    this.#takeBack(node, now);
    return wasTrusted ? "ended" : "rejected";
  }

  /** Withdraws our own statement to a peer that has ended trust, or refused it: the registry keeps it, too. */
  #takeBack(node: number, now: number): void {
    this.say(node, "handshake_revoke", now, "ended by you");
  }

  /**
   * Notes that we ask a peer for trust, before the request is sent. Lifts what a revocation has left.
   *
   * @param node Node number of the peer.
   * @param now Unix milliseconds.
   * @param options `justification`: why. `again`: ask although it is trusted here, as it does not seem to trust us.
   * @returns `trusted` when there is nothing to ask for; `granted` when it had asked us, so that it is trusted now;
   * else `sent`. What is to be sent is owed.
   * @throws {PilotError} `limit_exceeded` when {@linkcode OUTGOING_MAX} requests are unanswered, or
   * {@linkcode TRUSTED_MAX} peers trusted.
   */
  request(
    node: number,
    now: number,
    options: { justification?: string; again?: boolean } = {},
  ): "trusted" | "granted" | "sent" {
    const peer = this.peers.get(node);
    if (peer?.source === "same_network") {
      // Now it is a decision of ours, and outlives the network.
      this.peers.set(node, { ...peer, source: "approved" });
      this.say(node, "handshake_accept", now);
      return "trusted";
    }
    if (peer !== undefined && peer.mutual && options.again !== true) return "trusted";
    if (this.requests.has(node)) {
      this.approve(node, { now }, "mutual");
      return "granted";
    }
    this.reap(now);
    if (!this.asked.has(node) && this.asked.size >= OUTGOING_MAX) {
      throw tooMany(
        `${OUTGOING_MAX} trust requests are unanswered`,
        "Withdraw one of them by revoking trust in its node.",
      );
    }
    this.ended.delete(node);
    const text = options.justification ?? "";
    const { order } = this.say(node, "handshake_request", now, text);
    this.asked.set(node, { nodeId: node, requestedAt: now, order });
    return "sent";
  }

  /**
   * Approves a pending request.
   *
   * @param node Node number of the peer.
   * @param context When, and the peer's key if it became known since.
   * @param source Why.
   * @returns The peer, to be reported to the registry; the accept is owed.
   * @throws {PilotError} `not_found` without a pending request, `denied` when its key is not the given one,
   * `limit_exceeded` when {@linkcode TRUSTED_MAX} peers are trusted.
   */
  approve(
    node: number,
    context: PeerContext,
    source: "approved" | "mutual" = "approved",
  ): TrustedPeer {
    const request = this.requests.get(node);
    if (request === undefined) throw notPending(node, this.peers.has(node));
    const { publicKey } = request;
    if (publicKey !== undefined && differs(publicKey, context.publicKey)) {
      throw new PilotError(
        "denied",
        `Node ${node} asked for trust with a key that is not its own now`,
        { hint: "Reject the request and let the node ask again." },
      );
    }
    const known = publicKey === undefined ? context : { ...context, publicKey };
    if (!this.setTrust(node, source, known)) {
      throw tooMany(
        `${TRUSTED_MAX} peers are trusted already`,
        "Revoke trust in peers that are no longer needed.",
      );
    }
    this.say(node, "handshake_accept", context.now);
    return this.peers.get(node)!;
  }

  /**
   * Rejects a pending request; the answer is owed.
   *
   * @param node Node number of the peer.
   * @param now Unix milliseconds.
   * @param reason Sent to the peer.
   * @throws {PilotError} `not_found` without a pending request.
   */
  reject(node: number, now: number, reason: string = ""): void {
    if (!this.requests.delete(node)) throw notPending(node, this.peers.has(node));
    this.say(node, "handshake_reject", now, reason);
  }

  /**
   * Ends trust in a peer, or withdraws our request to it; the statement to the peer is owed. Until it is asked or
   * approved here, the peer is neither approved automatically nor let in as a member of a network.
   *
   * @param node Node number of the peer.
   * @param now Unix milliseconds.
   * @returns Whether the peer was trusted; false when only a request was withdrawn.
   * @throws {PilotError} `not_found` when there was neither.
   */
  revoke(node: number, now: number): boolean {
    const wasTrusted = this.peers.has(node);
    if (!wasTrusted && !this.asked.has(node)) {
      throw new PilotError(
        "not_found",
        `Node ${node} was not trusted`,
        this.requests.has(node) ? { advice: { id: "reject_request", node } } : {},
      );
    }
    this.endTrust(node, now, "trust revoked");
    this.ended.delete(node);
    this.ended.set(node, REVOKED_UNTIL_MS);
    if (this.ended.size > REVOKED_MAX) {
      const [first] = this.ended.keys();
      this.ended.delete(first!);
    }
    return wasTrusted;
  }

  /**
   * Ends again what was ended before a crash, when only that is on disk: trust and requests of that time. What came
   * since stays.
   *
   * @param node Node number of the peer.
   * @param ending `now` and when it was ended, Unix milliseconds; how far the peer's statements had been acted upon.
   */
  endAgain(
    node: number,
    { now, atMs, seenOrder }: {
      readonly now: number;
      readonly atMs: number;
      readonly seenOrder: number;
    },
  ): void {
    const begun = this.peer(node)?.approvedAt ?? this.asked.get(node)?.requestedAt ??
      this.requests.get(node)?.receivedAt ?? 0;
    if (begun > atMs) return;
    this.restoreSeen(node, seenOrder);
    if (this.isTrusted(node)) this.revoke(node, now);
    // The peer may have heard of something that is not on disk, and must not wait for what comes of it.
    else this.endTrust(node, now, "trust revoked");
  }

  /** Withdraws a request of ours that could not be sent; the statement to the peer is owed, as it may have arrived. */
  withdraw(node: number, now: number): void {
    if (!this.asked.delete(node)) return;
    if (this.isTrusted(node)) this.noteChange();
    else this.say(node, "handshake_revoke", now, "request withdrawn");
  }

  /** Ends trust that came from a common network, which has ended; false when there was none. */
  endNetworkTrust(node: number, now: number): boolean {
    if (this.peers.get(node)?.source !== "same_network") return false;
    this.endTrust(node, now, "network left");
    return true;
  }

  /**
   * The registry says that a peer has ended trust, without a statement of the peer's own. Trust here is for us to
   * end, but the next {@linkcode TrustState.request} asks again.
   */
  doubt(node: number): void {
    const peer = this.peers.get(node);
    if (peer?.mutual !== true) return;
    this.peers.set(node, { ...peer, mutual: false });
    this.noteChange();
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
    const peer = this.peers.get(node);
    if (peer === undefined) return "unknown";
    if (peer.publicKey !== undefined) {
      return equalBytes(peer.publicKey, publicKey) ? "pinned" : "changed";
    }
    if (!isUsablePublicKey(publicKey)) return "unknown";
    this.peers.set(node, { ...peer, publicKey: publicKey.slice() });
    this.noteChange();
    return "pinned";
  }

  /**
   * Forgets what has expired; a request of ours that nobody answered is withdrawn. To be called now and then; local
   * requests and incoming ones do it too.
   *
   * @param now Unix milliseconds.
   */
  reap(now: number): void {
    this.#replays.reap(now);
    for (const { nodeId, receivedAt } of this.pending()) {
      if (now - receivedAt > REQUEST_TTL_MS) this.noteChange(this.requests.delete(nodeId));
    }
    for (const { nodeId, requestedAt } of this.outgoing()) {
      if (now - requestedAt <= REQUEST_TTL_MS) continue;
      this.noteChange(this.asked.delete(nodeId));
      if (!this.peers.has(nodeId)) this.say(nodeId, "handshake_revoke", now, "request expired");
    }
    for (const [node, until] of this.ended) {
      if (until <= now) this.noteChange(this.ended.delete(node));
    }
  }

  #automaticApproval(
    from: number,
    context: RequestContext,
  ): "mutual" | "same_network" | "auto_approve" | undefined {
    if (this.asked.has(from)) return "mutual";
    if (this.ended.has(from)) return undefined;
    if ((context.sharedNetwork ?? 0) !== 0) return "same_network";
    return context.autoApprove === true ? "auto_approve" : undefined;
  }

  #addPending(from: number, context: RequestContext): RequestOutcome {
    this.reap(context.now);
    const source = cleanSource(context);
    const dropped = this.requests.put({
      nodeId: from,
      ...copyKey(context.publicKey),
      justification: cleanText(context.justification ?? ""),
      receivedAt: context.now,
      ...(source === "" ? {} : { source }),
    });
    this.noteChange();
    if (dropped === undefined) return { action: "pending" };
    // Nobody will see that request any more; its sender must not wait for an answer.
    this.say(dropped.nodeId, "handshake_reject", context.now, "too many requests");
    return { action: "pending", dropped: dropped.nodeId };
  }

  /** A trusted peer shows that it trusts us too, perhaps with the key that was missing. */
  #update(node: number, { publicKey }: PeerContext): void {
    if (publicKey !== undefined) this.pinKey(node, publicKey);
    this.noteChange(this.asked.delete(node));
    const peer = this.peers.get(node)!;
    if (!peer.mutual) {
      this.peers.set(node, { ...peer, mutual: true });
      this.noteChange();
    }
  }
}

function cleanSource({ source = "" }: RequestContext): string {
  return cleanText(source).slice(0, SOURCE_MAX_CHARS);
}

function notPending(node: number, isTrusted: boolean): PilotError {
  const why = isTrusted ? ": it is trusted already" : "";
  return new PilotError("not_found", `Node ${node} has no pending request${why}`, {
    advice: { id: "list_requests" },
  });
}

function tooMany(what: string, hint: string): PilotError {
  return new PilotError("limit_exceeded", what, { hint });
}

function ignore<R extends string>(reason: R): { action: "ignore"; reason: R } {
  return { action: "ignore", reason };
}
