/**
 * The trust handshake in action: what is decided here, what follows from consent given or withdrawn, and when the
 * registry is asked (docs/protocol/trust.md). Decisions are made by `protocol/trust`.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { textField } from "../../protocol/registry/registry_message.ts";
import type { Statement, TrustState } from "../../protocol/trust/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type {
  IpcOutgoingHandshake,
  IpcPendingHandshake,
  IpcRefusedHandshake,
  IpcTrustedPeer,
} from "../../protocol/ipc/mod.ts";
import type { TrustBackend } from "../ipc/backend.ts";
import type { PeerNames } from "../peer_names.ts";
import type { NodeRegistry } from "../registry/node_registry.ts";
import { StatementDelivery } from "./delivery.ts";
import type { FormerPeers } from "./former_peers.ts";
import { HandshakePort, type HandshakePortDeps } from "./handshake_port.ts";
import { InboxPoller } from "./inbox_poller.ts";
import { Incoming } from "./incoming.ts";
import { LateRejections } from "./late_rejections.ts";
import { readRelayed } from "./relayed.ts";
import { Refusals } from "./refusals.ts";
import { StateSaver, type Tombstones } from "./saver.ts";
import { Underway } from "./underway.ts";
import { outgoingList, pendingList, refusedList, trustedList } from "./trust_lists.ts";
import { TrustWaiters } from "./waiters.ts";
import type { Log } from "../../platform/log.ts";
import { TaskSet } from "../../platform/task_set.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";

export { DIRECT_TIMEOUT_MS } from "./delivery.ts";
export { POLL_MIN_MS } from "./inbox_poller.ts";

/** How often the registry's inbox is read while a handshake is open (docs/protocol/trust.md §4). */
export const POLL_OPEN_MS = 2_000;
/** How often otherwise. */
export const POLL_IDLE_MS = 15_000;
/** How long an open handshake keeps the short interval. */
export const POLL_OPEN_FOR_MS = 5 * 60_000;

/** What the service needs from the daemon. */
export interface TrustServiceDeps extends Pick<HandshakePortDeps, "dial" | "bind" | "unbind"> {
  readonly clock: Clock;
  readonly state: TrustState;
  readonly registry: NodeRegistry;
  /** What peers are called, where that is known. */
  readonly names?: Pick<PeerNames, "nameOf" | "trusted"> | undefined;
  /** Asks the registry in the background what trusted peers are called. */
  readonly learnNames?: (nodes: readonly number[]) => void;
  /** Approve every request. */
  readonly autoApprove: boolean;
  /** How often the registry's inbox is read, in place of {@linkcode POLL_OPEN_MS} and {@linkcode POLL_IDLE_MS}. */
  readonly pollMs?: number | undefined;
  /** Writes trust.json. */
  readonly save: (json: string) => Promise<void>;
  /** Keeps revocations that trust.json could not take. */
  readonly tombstones: Tombstones;
  /** A network that we share with a node, as the registry states it. Rejects when it cannot be asked. */
  readonly sharedNetwork: (node: number) => Promise<number | undefined>;
  /** Trust in a node has ended: connections must go. */
  readonly cut: (node: number) => void;
  /** Peers whose trust has ended not long ago. */
  readonly former: FormerPeers;
  /** Forgets the tunnel, after the last message was sent. */
  readonly dropTunnel: (node: number) => void;
  /** Whether there is a tunnel to a node, and it is of the existing kind. */
  readonly isExistingPeer: (node: number) => boolean;
  readonly emit: Emit;
  readonly log: Log;
}

/** Mutual consent of this node with others. */
export class TrustService implements TrustBackend {
  readonly #deps: TrustServiceDeps;
  readonly #state: TrustState;
  readonly #poller: InboxPoller;
  readonly #port: HandshakePort;
  readonly #waiters: TrustWaiters;
  readonly #former: FormerPeers;
  readonly #lateRejections = new LateRejections();
  readonly #underway = new Underway();
  readonly #refusals = new Refusals();
  readonly #saver: StateSaver;
  readonly #delivery: StatementDelivery;
  readonly #incoming: Incoming;
  readonly #tasks = new TaskSet((error) =>
    this.#deps.log("error", "trust task failed", { error: String(error) })
  );
  /** What we acknowledge to the registry. */
  #ack = "";
  #openSinceMs = -Infinity;

  constructor(deps: TrustServiceDeps) {
    const { clock, state, registry, log } = deps;
    this.#deps = deps;
    this.#state = state;
    this.#poller = new InboxPoller({
      clock,
      poll: () => this.#pollOnce(),
      intervalMs: () => deps.pollMs ?? this.#pollIntervalMs(),
    });
    this.#waiters = new TrustWaiters(clock);
    this.#former = deps.former;
    this.#former.start({
      isExisting: deps.isExistingPeer,
      drop: (node) => {
        if (!state.isTrusted(node)) deps.dropTunnel(node);
      },
    });
    this.#saver = new StateSaver({ ...deps, write: deps.save });
    this.#port = new HandshakePort({
      ...deps,
      onMessage: (message, remoteNode) =>
        this.#tasks.add(this.#incoming.onMessage(message, remoteNode)),
    });
    this.#delivery = new StatementDelivery({
      registry,
      clock,
      // A crash must not take back what others have learned. The end of trust has its own place on disk.
      owed: () =>
        state.owed().filter(({ type }) => type === "handshake_revoke" || this.#saver.isSaved),
      delivered: (statement) => {
        state.delivered(statement);
        this.#tasks.add(this.#saver.save());
      },
      send: (node, bytes, timeoutMs) => this.#port.send(node, bytes, timeoutMs),
      log,
    });
    this.#incoming = new Incoming({
      ...deps,
      sharedNetwork: (node) => this.#sharedNetwork(node),
      settle: () => this.#settle(),
      trusted: (node) => this.#onTrusted(node),
      ended: (node) => this.#onEnded(node),
      rejected: (node, reason) => this.#onRejected(node, reason),
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
    this.#former.close();
    await this.#tasks.settled();
    await polled;
    this.#saver.close();
    // The last chance for what could not be written before; stopping continues either way.
    await this.#saver.save().catch((error) =>
      this.#deps.log("error", "trust state could not be saved", { error: String(error) })
    );
  }

  /** After a registration: report what is owed and which peers are trusted, and poll the inbox. */
  async onRegistered(): Promise<void> {
    const { registry, log } = this.#deps;
    await this.#delivery.flush();
    // A crash would take back what is not on disk; it is reported with the next registration.
    const trusted = this.#saver.isSaved ? this.#state.trusted() : [];
    for (const { nodeId, source } of trusted) {
      // Members of a network have the membership; our word would outlive it.
      if (source === "same_network") continue;
      try {
        const { isEnded } = await registry.reportTrust(nodeId);
        if (isEnded) this.#state.doubt(nodeId);
      } catch (error) {
        // A peer the registry has forgotten is no reason to lose the others.
        if (!(error instanceof PilotError) || error.code === "unavailable") throw error;
        log("debug", "report_trust refused", { peer_node_id: nodeId, error: error.message });
      }
    }
    this.poll();
    this.#deps.learnNames?.(trusted.map(({ nodeId }) => nodeId));
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

  /** Our network is another one. */
  networkChanged(): void {
    this.#former.endAll();
  }

  // ---- TrustBackend

  async request(
    node: number,
    justification: string,
  ): Promise<"sent" | "granted" | "already_trusted"> {
    const { registry, clock } = this.#deps;
    if (node === registry.node) {
      throw new PilotError("invalid_argument", "A node needs no handshake with itself");
    }
    using decision = this.#underway.begin(node);
    const again = await this.#seemsOneSided(node);
    if (this.#state.hasConsent(node) && !again) return "already_trusted";
    // It may have asked already, a moment ago: then this is consent, and nothing needs to be sent.
    if (!this.#state.isTrusted(node) && !this.#state.isExpected(node)) await this.#pollOnce();
    const facts = await registry.lookup(node);
    // The later decision counts, though this one has waited for the registry.
    if (decision.isOvertaken) {
      throw new PilotError("aborted", `Trust in node ${node} was refused or ended meanwhile`);
    }
    const outcome = this.#state.request(node, clock.unixNow(), { justification, again });
    this.#lateRejections.asked(node);
    this.#refusals.forget(node);
    await this.#saver.save().catch(async (error) => {
      // Not even that it was withdrawn can be lost: an earlier request may be on disk, and known.
      const now = clock.unixNow();
      this.#state.withdraw(node, now);
      await this.#saver.saveRevocation(node, now);
      throw error;
    });
    this.#openSinceMs = this.#deps.clock.now();
    if (outcome !== "sent") {
      await this.#onTrusted(node);
      return outcome === "granted" ? "granted" : "already_trusted";
    }
    await this.#send(node, facts.public === true);
    this.poll();
    return "sent";
  }

  async approve(node: number): Promise<void> {
    const { clock, emit } = this.#deps;
    const publicKey = await this.#incoming.registryKey(node);
    this.#state.approve(node, {
      now: clock.unixNow(),
      ...(publicKey === undefined ? {} : { publicKey }),
    });
    emit("handshake.approved", { peer_node_id: node });
    await this.#onTrusted(node);
  }

  async reject(node: number, reason: string): Promise<void> {
    this.#state.reject(node, this.#deps.clock.unixNow(), reason);
    this.#underway.overtake(node);
    await this.#saver.save();
    this.#deps.emit("handshake.rejected", { peer_node_id: node, reason });
    // Not directly: a stranger would learn from our frames where we are, and the registry take our asking for consent.
    await this.#delivery.flush();
  }

  async revoke(node: number): Promise<boolean> {
    const now = this.#deps.clock.unixNow();
    const wasTrusted = this.#state.revoke(node, now);
    this.#underway.overtake(node);
    // What trust allowed ends at once, whatever becomes of disk and registry.
    if (wasTrusted) {
      this.#deps.emit("trust.revoked", { peer_node_id: node });
      this.#deps.cut(node);
    }
    try {
      await this.#saver.saveRevocation(node, now);
    } finally {
      await this.#part(node);
    }
    return wasTrusted;
  }

  outgoing(): IpcOutgoingHandshake[] {
    return outgoingList(this.#state);
  }

  refused(): IpcRefusedHandshake[] {
    return refusedList(this.#refusals);
  }

  pending(): IpcPendingHandshake[] {
    this.poll();
    return pendingList(this.#state);
  }

  trusted(): IpcTrustedPeer[] {
    return trustedList(this.#state, this.#deps.names);
  }

  waitFor(node: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    // Existing clients ask this before they talk to any node, themselves included.
    if (node === this.#deps.registry.node) return Promise.resolve(true);
    if (this.#isMutual(node)) return Promise.resolve(true);
    // The answer may have come before anyone waited for it.
    const refusal = this.#state.isAsked(node) ? undefined : this.#refusals.error(node);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#openSinceMs = this.#deps.clock.now();
    this.poll();
    return this.#waiters.wait(node, timeoutMs, signal);
  }

  /** One who seems to have ended trust, and was asked again, has yet to answer. */
  #isMutual(node: number): boolean {
    return this.#state.isTrusted(node) && !this.#state.isAsked(node);
  }

  /**
   * A common network has ended: so has trust that came from it.
   *
   * @returns Whether there was such trust.
   */
  async endNetworkTrust(node: number): Promise<boolean> {
    const now = this.#deps.clock.unixNow();
    if (!this.#state.endNetworkTrust(node, now)) return false;
    this.#deps.emit("trust.network_ended", { peer_node_id: node });
    try {
      await this.#saver.saveRevocation(node, now);
    } finally {
      await this.#part(node);
    }
    return true;
  }

  // ---- what follows from decisions

  /** Sends a request of ours. @throws {PilotError} When it cannot be sent at all; it is withdrawn then. */
  async #send(node: number, isPublic: boolean): Promise<void> {
    const statement = this.#owedTo(node);
    if (statement === undefined) return;
    // A private node admits no stranger to port 444, so only the registry can carry the request (§3.6).
    const direct = isPublic ? this.#delivery.direct(statement) : Promise.resolve(false);
    try {
      await this.#delivery.relay(statement);
    } catch (error) {
      // It has the peer's ear; the registry gets it when it can.
      if (await direct) return;
      this.#state.withdraw(node, this.#deps.clock.unixNow());
      await this.#saver.save();
      throw error;
    }
  }

  /** Sends a peer what is owed to it, now. */
  async #tell(node: number): Promise<void> {
    const statement = this.#owedTo(node);
    await this.#delivery.flush();
    if (statement !== undefined) this.#tasks.add(this.#delivery.direct(statement));
  }

  #owedTo(node: number): Statement | undefined {
    return this.#state.owed().find(({ nodeId }) => nodeId === node);
  }

  /** Ends what trust had built with a peer. The peer is notified while there is still a tunnel (§3.6). */
  async #part(node: number): Promise<void> {
    const statement = this.#owedTo(node);
    if (statement !== undefined) {
      // It may be gone, which must not hold us up.
      this.#tasks.add(
        this.#delivery.direct(statement).finally(() => {
          if (!this.#state.isTrusted(node)) this.#former.ended(node);
        }),
      );
    }
    await this.#delivery.flush();
  }

  /** The state may have changed: writes it, and sends what is owed. */
  async #settle(): Promise<void> {
    await this.#saver.save();
    this.#waiters.wakeThose((node) => this.#isMutual(node));
    await this.#delivery.flush();
  }

  #onRejected(node: number, reason: string): void {
    const { clock, emit } = this.#deps;
    this.#refusals.add({ nodeId: node, reason, refusedAt: clock.unixNow() });
    this.#waiters.fail(node, this.#refusals.error(node)!);
    emit("handshake.rejected_by_peer", { peer_node_id: node, reason });
  }

  async #onTrusted(node: number): Promise<void> {
    this.#refusals.forget(node);
    this.#deps.names?.trusted(node);
    await this.#saver.save();
    this.#waiters.wake(node);
    await this.#tell(node);
    if (this.#state.hasConsent(node)) {
      await this.#deps.registry.reportTrust(node).catch((error) =>
        this.#registryFailed(node, error)
      );
      this.#deps.learnNames?.([node]);
    }
  }

  async #onEnded(node: number): Promise<void> {
    this.#deps.emit("trust.revoked_by_peer", { peer_node_id: node });
    this.#deps.cut(node);
    this.#former.ended(node);
    try {
      await this.#saver.saveRevocation(node, this.#deps.clock.unixNow());
    } finally {
      await this.#delivery.flush();
    }
  }

  // ---- registry

  /** We trust the node, but it does not seem to trust us. */
  async #seemsOneSided(node: number): Promise<boolean> {
    const peer = this.#state.peer(node);
    if (peer === undefined) return false;
    if (!peer.mutual) return true;
    try {
      return !await this.#deps.registry.checkTrust(node);
    } catch (error) {
      // Without the registry nothing speaks against it.
      this.#registryFailed(node, error);
      return false;
    }
  }

  #pollIntervalMs(): number {
    const isOpen = this.#state.outgoing().length + this.#state.pending().length > 0 ||
      this.#state.owed().length > 0 || this.#waiters.count > 0;
    const isRecent = this.#deps.clock.now() - this.#openSinceMs < POLL_OPEN_FOR_MS;
    return isOpen && isRecent ? POLL_OPEN_MS : POLL_IDLE_MS;
  }

  /** False when the inbox could not be read. */
  async #pollOnce(): Promise<boolean> {
    const { registry, log, clock } = this.#deps;
    if (registry.node === 0) return false;
    await this.#delivery.flush();
    const look = this.#lateRejections.begin();
    try {
      const inbox = await registry.pollHandshakes(this.#ack);
      const waiting = readRelayed(inbox);
      const all = look.answers(waiting);
      for (const relayed of all) {
        if (relayed.type === "handshake_request") this.#openSinceMs = clock.now();
        await this.#incoming.onRelayed(relayed);
      }
      // What it led to must be on disk before the registry forgets it.
      await this.#saver.save();
      if (all.length === waiting.length) this.#ack = textField(inbox, "ack");
      if (all.length > 0) this.poll();
    } catch (error) {
      // Registration reports an outage; here the next poll is the remedy.
      log("debug", "polling handshakes failed", { error: String(error) });
      return false;
    } finally {
      look.end();
    }
    return true;
  }

  async #sharedNetwork(node: number): Promise<number | undefined> {
    try {
      return await this.#deps.sharedNetwork(node);
    } catch (error) {
      this.#registryFailed(node, error);
      return undefined;
    }
  }

  #registryFailed(node: number, error: unknown): void {
    this.#deps.log("warn", "registry did not help with trust", {
      peer_node_id: node,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
