/**
 * The trust handshake in action: port 444, the registry's relay, and what follows from consent given or
 * withdrawn (daemon.md §5). Decisions are made by `protocol/trust`.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import {
  type HandshakeMessage,
  type HandshakeType,
  type TrustState,
  verifyHandshake,
} from "../../protocol/trust/mod.ts";
import { decodeBase64, encodeBase64 } from "../../protocol/crypto/base64.ts";
import { numberField, objectListField, textField } from "../../protocol/registry.ts";
import type { Clock } from "../clock.ts";
import type { Json, TrustBackend } from "../ipc/backend.ts";
import type { NodeRegistry } from "../registry/node_registry.ts";
import { HandshakePort, type HandshakePortDeps } from "./handshake_port.ts";
import { InboxPoller } from "./inbox_poller.ts";
import { sharedNetwork } from "./shared_network.ts";
import { TrustWaiters } from "./waiters.ts";

export { POLL_MIN_MS } from "./inbox_poller.ts";

/** How often the registry's inbox is read while a handshake is open (daemon.md §5.4 RULE). */
export const POLL_OPEN_MS = 2_000;
/** How often otherwise. */
export const POLL_IDLE_MS = 15_000;
/** How long an open handshake keeps the short interval. */
export const POLL_OPEN_FOR_MS = 5 * 60_000;
/** Longest wait for a direct message to a peer that may not be there. */
export const DIRECT_TIMEOUT_MS = 4_000;
/** Revocations kept for a registry that was away; the oldest goes. Far more than anybody revokes in an outage. */
export const MAX_UNREVOKED = 1_024;

/** What the service needs from the daemon. */
export interface TrustServiceDeps extends Pick<HandshakePortDeps, "dial" | "bind" | "unbind"> {
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly unixNow: () => number;
  readonly state: TrustState;
  readonly registry: NodeRegistry;
  /** Approve every request. */
  readonly autoApprove: boolean;
  /** How often the registry's inbox is read, in place of {@linkcode POLL_OPEN_MS} and {@linkcode POLL_IDLE_MS}. */
  readonly pollMs?: number | undefined;
  /** Writes trust.json. */
  readonly save: (json: string) => Promise<void>;
  /** Trust in a node has ended: connections and tunnel must go. */
  readonly cut: (node: number) => void;
  /** What the registry said about trust in a node does not count any more. */
  readonly forgetVerdict: (node: number) => void;
  /** Forgets the tunnel, after the last message was sent. */
  readonly dropTunnel: (node: number) => void;
  readonly emit: (event: string, data: Json) => void;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string, fields: Json) => void;
}

/** Mutual consent of this node with others. */
export class TrustService implements TrustBackend {
  readonly #deps: TrustServiceDeps;
  readonly #state: TrustState;
  readonly #poller: InboxPoller;
  readonly #port: HandshakePort;
  readonly #waiters: TrustWaiters;
  /** Pairs that the registry still has because it could not be told. */
  readonly #unrevoked = new Set<number>();
  readonly #tasks = new Set<Promise<unknown>>();
  #savedRevision = -1;
  #saving: Promise<void> = Promise.resolve();
  #openSinceMs = -Infinity;

  constructor(deps: TrustServiceDeps) {
    this.#deps = deps;
    this.#state = deps.state;
    this.#savedRevision = deps.state.revision;
    this.#poller = new InboxPoller({
      clock: deps.clock,
      poll: () => this.#pollOnce(),
      intervalMs: () => deps.pollMs ?? this.#pollIntervalMs(),
    });
    this.#waiters = new TrustWaiters(deps.clock);
    this.#port = new HandshakePort({
      clock: deps.clock,
      unixNow: deps.unixNow,
      dial: deps.dial,
      bind: deps.bind,
      unbind: deps.unbind,
      identity: () => deps.registry.identity,
      self: () => deps.registry.node,
      onMessage: (message, remoteNode) => this.#background(this.#onMessage(message, remoteNode)),
      log: deps.log,
    });
  }

  /** Listens on port 444 and starts to read the registry's inbox. */
  start(): void {
    this.#port.open();
    this.#poller.start(POLL_OPEN_MS);
  }

  /** Ends everything and waits until the last state is on disk. */
  async stop(): Promise<void> {
    const polled = this.#poller.stop();
    this.#port.close();
    this.#waiters.close();
    await Promise.all([...this.#tasks]);
    await polled;
    // The last chance for what could not be written before; stopping goes on either way.
    await this.#save().catch((error) =>
      this.#deps.log("error", "trust state could not be saved", { error: String(error) })
    );
  }

  /** The registry has us again: tell it whom we trust, and read what waits there. */
  async onRegistered(): Promise<void> {
    for (const node of [...this.#unrevoked]) {
      if (this.#state.isTrusted(node)) this.#unrevoked.delete(node);
      else await this.#revokeAtRegistry(node);
    }
    for (const { nodeId } of this.#state.trusted()) {
      await this.#deps.registry.reportTrust(nodeId).catch((error) => {
        // A peer the registry has forgotten is no reason to lose the others.
        if (!(error instanceof PilotError) || error.code === "unavailable") throw error;
        this.#deps.log("debug", "report_trust refused", {
          peer_node_id: nodeId,
          error: error.message,
        });
      });
    }
    this.poll();
  }

  /** Reads the registry's inbox soon. */
  poll(): void {
    this.#poller.soon();
  }

  /** The beacon says that something waits there: reads it at once. */
  wake(): void {
    this.#poller.wake();
  }

  /** Requests that wait for us. */
  get pendingCount(): number {
    return this.#state.pending().length;
  }

  /** We wait for this node's answer. */
  isExpected(node: number): boolean {
    return this.#state.outgoing().some((request) => request.nodeId === node) ||
      this.#state.pending().some((request) => request.nodeId === node);
  }

  // ---- TrustBackend

  async request(node: number, justification: string): Promise<"sent" | "already_trusted"> {
    const { registry, unixNow } = this.#deps;
    if (node === registry.node) {
      throw new PilotError("invalid_argument", "A node needs no handshake with itself");
    }
    if (this.#state.isTrusted(node)) return "already_trusted";
    const facts = await registry.lookup(node);
    if (this.#state.request(node, unixNow()) === "trusted") return "already_trusted";
    await this.#save();
    this.#openSinceMs = this.#deps.clock.now();
    try {
      // A private node admits no stranger to port 444, so the registry carries the request (§5.3 RULE).
      const isDirect = facts.public === true &&
        await this.#sendDirect(node, "handshake_request", justification);
      if (!isDirect) await registry.requestHandshake(node, justification);
    } catch (error) {
      this.#state.onReject(node);
      await this.#save();
      throw error;
    }
    this.poll();
    return "sent";
  }

  async approve(node: number): Promise<void> {
    const { unixNow, emit } = this.#deps;
    const publicKey = await this.#registryKey(node);
    const context = { now: unixNow(), ...(publicKey === undefined ? {} : { publicKey }) };
    this.#state.approve(node, context);
    await this.#onTrusted(node);
    emit("handshake.approved", { peer_node_id: node });
    await this.#respond(node, true);
    this.#background(this.#sendDirect(node, "handshake_accept"));
  }

  async reject(node: number, reason: string): Promise<void> {
    this.#state.reject(node);
    await this.#save();
    this.#deps.emit("handshake.rejected", { peer_node_id: node, reason });
    await this.#respond(node, false);
    this.#background(this.#sendDirect(node, "handshake_reject", reason));
  }

  async revoke(node: number): Promise<void> {
    const wasTrusted = this.#state.revoke(node, this.#deps.unixNow());
    // What trust allowed ends at once, whatever becomes of disk and registry.
    if (wasTrusted) {
      this.#deps.emit("trust.revoked", { peer_node_id: node });
      this.#deps.cut(node);
    }
    try {
      await this.#save();
    } finally {
      if (wasTrusted) {
        // The peer is told while there is still a tunnel (§5.3 RULE); it may be gone, which must not hold us up.
        this.#background(
          this.#sendDirect(node, "handshake_revoke", "trust revoked")
            .finally(() => {
              if (!this.#state.isTrusted(node)) this.#deps.dropTunnel(node);
            }),
        );
        await this.#revokeAtRegistry(node);
      }
    }
  }

  pending(): Json[] {
    this.poll();
    return this.#state.pending().map((request) => ({
      node_id: request.nodeId,
      public_key: request.publicKey === undefined ? "" : encodeBase64(request.publicKey),
      justification: request.justification,
      received_at: Math.floor(request.receivedAt / 1000),
    }));
  }

  trusted(): Json[] {
    return this.#state.trusted().map((peer) => ({
      node_id: peer.nodeId,
      public_key: peer.publicKey === undefined ? "" : encodeBase64(peer.publicKey),
      approved_at: Math.floor(peer.approvedAt / 1000),
      mutual: peer.mutual,
      network: peer.network ?? 0,
    }));
  }

  waitFor(node: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#state.isTrusted(node)) return Promise.resolve(true);
    this.#openSinceMs = this.#deps.clock.now();
    this.poll();
    return this.#waiters.wait(node, timeoutMs, signal);
  }

  // ---- messages of peers

  async #onMessage(message: HandshakeMessage, remoteNode: number): Promise<void> {
    const { registry, unixNow, log } = this.#deps;
    const pinnedKey = this.#state.pinnedKey(remoteNode);
    const registryKey = await this.#registryKey(remoteNode);
    const verdict = await verifyHandshake(message, {
      self: registry.node,
      now_s: Math.floor(unixNow() / 1000),
      remoteNode,
      ...(pinnedKey === undefined ? {} : { pinnedKey }),
      ...(registryKey === undefined ? {} : { registryKey }),
    });
    if (!verdict.ok || !verdict.bound) {
      // Without a key that somebody vouches for, the peer must try again when the registry is back.
      const reason = verdict.ok ? "registry not reachable" : verdict.reason;
      log("info", "handshake message refused", { peer_node_id: remoteNode, reason });
      return;
    }
    if (!this.#state.firstSight(message, unixNow())) {
      log("info", "handshake message refused", { peer_node_id: remoteNode, reason: "replay" });
      return;
    }
    switch (message.type) {
      case "handshake_request":
        await this.#onRequest(remoteNode, verdict.publicKey, message.justification);
        break;
      case "handshake_accept":
        await this.#onAccept(remoteNode, verdict.publicKey);
        break;
      case "handshake_reject":
        await this.#onReject(remoteNode);
        break;
      case "handshake_revoke":
        await this.#onRevoke(remoteNode);
        break;
    }
  }

  async #onRequest(
    node: number,
    publicKey: Uint8Array | undefined,
    justification: string,
  ): Promise<void> {
    const { unixNow, emit, log, autoApprove } = this.#deps;
    emit("handshake.received", { peer_node_id: node, justification });
    const sharedNetwork = await this.#sharedNetwork(node);
    const outcome = this.#state.onRequest(node, {
      now: unixNow(),
      justification,
      autoApprove,
      ...(publicKey === undefined ? {} : { publicKey }),
      ...(sharedNetwork === undefined ? {} : { sharedNetwork }),
    });
    switch (outcome.action) {
      case "accept":
        await this.#onTrusted(node);
        if (outcome.reason !== "already") {
          emit("handshake.auto_approved", { peer_node_id: node, reason: outcome.reason });
        }
        await this.#respond(node, true);
        await this.#sendDirect(node, "handshake_accept");
        break;
      case "pending":
        await this.#save();
        emit("handshake.pending", { peer_node_id: node, justification });
        break;
      case "ignore":
        log("warn", "handshake request ignored", { peer_node_id: node, reason: outcome.reason });
        break;
    }
  }

  async #onAccept(node: number, publicKey: Uint8Array | undefined): Promise<void> {
    const context = {
      now: this.#deps.unixNow(),
      ...(publicKey === undefined ? {} : { publicKey }),
    };
    const outcome = this.#state.onAccept(node, context);
    if (outcome.action === "trusted") {
      await this.#onTrusted(node);
      await this.#deps.registry.reportTrust(node).catch((error) =>
        this.#registryFailed(node, error)
      );
    } else if (outcome.reason !== "already") {
      this.#deps.log("warn", "handshake accept ignored", {
        peer_node_id: node,
        reason: outcome.reason,
      });
    }
  }

  async #onReject(node: number): Promise<void> {
    if (!this.#state.onReject(node)) return;
    await this.#save();
    this.#deps.log("info", "handshake rejected by peer", { peer_node_id: node });
  }

  async #onRevoke(node: number): Promise<void> {
    const wasTrusted = this.#state.onRevoke(node);
    if (wasTrusted) {
      this.#deps.emit("trust.revoked_by_peer", { peer_node_id: node });
      this.#deps.cut(node);
      this.#deps.dropTunnel(node);
    }
    try {
      await this.#save();
    } finally {
      if (wasTrusted) await this.#revokeAtRegistry(node);
    }
  }

  async #onTrusted(node: number): Promise<void> {
    await this.#save();
    this.#waiters.wake(node);
  }

  // ---- registry

  #pollIntervalMs(): number {
    const isOpen = this.#state.outgoing().length + this.#state.pending().length > 0 ||
      this.#waiters.count > 0;
    const isRecent = this.#deps.clock.now() - this.#openSinceMs < POLL_OPEN_FOR_MS;
    return isOpen && isRecent ? POLL_OPEN_MS : POLL_IDLE_MS;
  }

  /** False when the inbox could not be read. */
  async #pollOnce(): Promise<boolean> {
    const { registry, log, clock } = this.#deps;
    if (registry.node === 0) return false;
    try {
      const inbox = await registry.pollHandshakes();
      for (const request of objectListField(inbox, "requests")) {
        const node = numberField(request, "from_node_id");
        if (node === 0 || node === registry.node) continue;
        this.#openSinceMs = clock.now();
        // The registry has checked the signature; the key it names is the one it checked against.
        const key = decodeBase64(textField(request, "public_key")) ?? await this.#registryKey(node);
        await this.#onRequest(node, key, textField(request, "justification"));
      }
      for (const response of objectListField(inbox, "responses")) {
        const node = numberField(response, "from_node_id");
        if (node === 0) continue;
        if (response.accept === true) await this.#onAccept(node, await this.#registryKey(node));
        else await this.#onReject(node);
      }
    } catch (error) {
      // Registration reports an outage; here the next poll is the remedy.
      log("debug", "polling handshakes failed", { error: String(error) });
      return false;
    }
    return true;
  }

  async #registryKey(node: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#deps.registry.lookupKey(node);
    } catch (error) {
      this.#registryFailed(node, error);
      return undefined;
    }
  }

  async #sharedNetwork(node: number): Promise<number | undefined> {
    try {
      return await sharedNetwork(this.#deps.registry, node);
    } catch (error) {
      this.#registryFailed(node, error);
      return undefined;
    }
  }

  async #respond(node: number, accept: boolean): Promise<void> {
    await this.#deps.registry.respondHandshake(node, accept).catch((error) =>
      this.#registryFailed(node, error)
    );
  }

  /** Ends the pair at the registry, now or when it is back: it would go on vouching for the peer. */
  async #revokeAtRegistry(node: number): Promise<void> {
    try {
      await this.#deps.registry.revokeTrust(node);
      this.#unrevoked.delete(node);
    } catch (error) {
      this.#unrevoked.add(node);
      if (this.#unrevoked.size > MAX_UNREVOKED) {
        this.#unrevoked.delete(this.#unrevoked.keys().next().value!);
      }
      this.#registryFailed(node, error);
    }
    this.#deps.forgetVerdict(node);
  }

  #registryFailed(node: number, error: unknown): void {
    this.#deps.log("warn", "registry did not help with trust", {
      peer_node_id: node,
      error: error instanceof Error ? error.message : String(error),
    });
  }

  // ---- helpers

  async #sendDirect(node: number, type: HandshakeType, text: string = ""): Promise<boolean> {
    try {
      await this.#port.send(node, type, text, DIRECT_TIMEOUT_MS);
      return true;
    } catch (error) {
      this.#deps.log("debug", "direct handshake message failed", {
        peer_node_id: node,
        type,
        error: String(error),
      });
      return false;
    }
  }

  /** Writes the state when it has changed; in order, and the caller goes on only when it is on disk. */
  #save(): Promise<void> {
    const { revision } = this.#state;
    if (revision !== this.#savedRevision) {
      this.#savedRevision = revision;
      const json = this.#state.toFile();
      this.#saving = this.#saving.catch(() => {
        // The writer before us was told; this is a new attempt with newer content.
      }).then(() => this.#deps.save(json)).catch((error) => {
        // Not on disk, so the next call tries again.
        if (this.#savedRevision === revision) this.#savedRevision = -1;
        throw error;
      });
    }
    return this.#saving;
  }

  #background(task: Promise<unknown>): void {
    const { log } = this.#deps;
    const tracked = task.catch((error) =>
      log("error", "trust task failed", { error: String(error) })
    )
      .finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }
}
