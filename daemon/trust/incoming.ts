/**
 * What peers say about trust, on port 444 and through the registry: verified, judged by the trust state, and followed
 * up (docs/protocol/trust.md §2, §3).
 *
 * @module
 */

import { DecodeError } from "../../protocol/errors.ts";
import {
  type HandshakeMessage,
  type PeerContext,
  type TrustState,
  verifyHandshake,
} from "../../protocol/trust/mod.ts";
import type { NodeRegistry } from "../registry/node_registry.ts";
import { type Relayed, RELAYED_MAX_AGE_S, RELAYED_MAX_AHEAD_S } from "./relayed.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";

/** What is needed to act upon the words of peers. */
export interface IncomingDeps {
  readonly state: TrustState;
  readonly registry: NodeRegistry;
  readonly clock: Clock;
  /** Approve every request. */
  readonly autoApprove: boolean;
  /** A network that we share with a node, as the registry states it; undefined when there is none. */
  readonly sharedNetwork: (node: number) => Promise<number | undefined>;
  /** The state has changed: write it, and send what is owed. */
  readonly settle: () => Promise<void>;
  /** A node is trusted now. */
  readonly trusted: (node: number) => Promise<void>;
  /** The node itself has ended trust. */
  readonly ended: (node: number) => Promise<void>;
  /** A node has refused our request. */
  readonly rejected: (node: number, reason: string) => void;
  readonly emit: Emit;
  readonly log: Log;
}

/** A word of a peer, verified as far as it can be. */
interface Heard {
  readonly node: number;
  readonly type: HandshakeMessage["type"];
  readonly context: PeerContext;
  readonly justification: string;
  readonly reason: string;
  readonly source: string;
}

/** Takes in what peers say. */
export class Incoming {
  readonly #deps: IncomingDeps;

  constructor(deps: IncomingDeps) {
    this.#deps = deps;
  }

  /** A decoded message of port 444, from the node that the tunnel has authenticated. */
  async onMessage(message: HandshakeMessage, remoteNode: number): Promise<void> {
    const registryKey = await this.registryKey(remoteNode);
    const heard = await this.#verify(message, { from: remoteNode, registryKey, source: "" });
    if (heard !== undefined) await this.#act(heard);
  }

  /**
   * Something that the registry has kept for us. A message that does not verify counts for nothing: its sender has not
   * said what the registry says.
   *
   * @throws {PilotError} When that is not known now, so that the registry must keep it.
   */
  async onRelayed(relayed: Relayed): Promise<void> {
    const { from, type, message, justification, source } = relayed;
    const { registry, log, state, clock } = this.#deps;
    if (from === registry.node) return;
    const registryKey = relayed.publicKey ?? await registry.lookupKey(from);
    if (message instanceof DecodeError) {
      log("info", "relayed handshake refused", { peer_node_id: from, reason: message.message });
    } else if (message !== undefined) {
      const heard = await this.#verify(message, { from, registryKey, source, isRelayed: true });
      if (heard !== undefined) await this.#act(heard);
    } else if (type === "handshake_revoke") {
      // Only the registry says so: no reason to end trust, but one to ask again on request.
      state.doubt(from);
      await this.#deps.settle();
    } else {
      const context = { now: clock.unixNow(), isHearsay: true, ...keyField(registryKey) };
      await this.#act({ node: from, type, context, justification, reason: "", source });
    }
  }

  /** The key that the registry has for a node; undefined when it has none or is away. */
  async registryKey(node: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#deps.registry.lookupKey(node);
    } catch (error) {
      this.#deps.log("debug", "key of a node not found", {
        peer_node_id: node,
        error: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }

  async #verify(
    message: HandshakeMessage,
    { from, registryKey, source, isRelayed = false }: {
      readonly from: number;
      readonly registryKey: Uint8Array | undefined;
      readonly source: string;
      readonly isRelayed?: boolean;
    },
  ): Promise<Heard | undefined> {
    const { registry, state, clock, log } = this.#deps;
    const now = clock.unixNow();
    const pinnedKey = state.pinnedKey(from);
    const verdict = await verifyHandshake(message, {
      self: registry.node,
      now_s: Math.floor(now / 1000),
      remoteNode: from,
      ...(pinnedKey === undefined ? {} : { pinnedKey }),
      ...(registryKey === undefined ? {} : { registryKey }),
      ...(isRelayed ? { maxAge_s: RELAYED_MAX_AGE_S, maxAhead_s: RELAYED_MAX_AHEAD_S } : {}),
    });
    const isOrdered = verdict.ok && verdict.full && message.order !== undefined;
    const refusal = !verdict.ok
      ? verdict.reason
      // Without a key that is vouched for, the peer must try again when the registry is back.
      : !verdict.bound
      ? "registry not reachable"
      // What the registry has kept for long is known from a replay by its order alone.
      : !isOrdered && (isRelayed || !state.firstSight(message, now))
      ? "replay"
      : undefined;
    if (!verdict.ok || refusal !== undefined) {
      log("info", "handshake message refused", { peer_node_id: from, reason: refusal });
      return undefined;
    }
    return {
      node: from,
      type: message.type,
      context: {
        now,
        publicKey: verdict.publicKey,
        ...(isOrdered ? { order: message.order, re: message.re } : {}),
      },
      justification: message.justification,
      reason: message.reason,
      source,
    };
  }

  async #act(heard: Heard): Promise<void> {
    const { node, type, context, reason } = heard;
    const { state, log, ended, rejected, settle } = this.#deps;
    switch (type) {
      case "handshake_request":
        await this.#onRequest(heard);
        break;
      case "handshake_accept":
        await this.#onAccept(node, context);
        break;
      case "handshake_reject":
      case "handshake_revoke": {
        const outcome = type === "handshake_reject"
          ? state.onReject(node, context)
          : state.onRevoke(node, context);
        if (outcome === "ended") await ended(node);
        else await settle();
        if (outcome === "ignored" || (outcome === "ended" && type === "handshake_revoke")) break;
        log("info", "handshake rejected by peer", { peer_node_id: node });
        rejected(node, reason);
        break;
      }
    }
  }

  async #onRequest({ node, context, justification, source }: Heard): Promise<void> {
    const { emit, log, autoApprove, state, settle, trusted } = this.#deps;
    emit("handshake.received", { peer_node_id: node, justification });
    const sharedNetwork = await this.#deps.sharedNetwork(node);
    const outcome = state.onRequest(node, {
      ...context,
      justification,
      autoApprove,
      source,
      ...(sharedNetwork === undefined ? {} : { sharedNetwork }),
    });
    switch (outcome.action) {
      case "accept":
        await trusted(node);
        if (outcome.reason !== "already") {
          emit("handshake.auto_approved", { peer_node_id: node, reason: outcome.reason });
        }
        break;
      case "pending":
        await settle();
        emit("handshake.pending", { peer_node_id: node, justification });
        if (outcome.dropped !== undefined) {
          log("warn", "handshake request dropped for newer ones", {
            peer_node_id: outcome.dropped,
          });
        }
        break;
      case "ignore":
        await settle();
        if (outcome.reason === "stale") return;
        log("warn", "handshake request ignored", { peer_node_id: node, reason: outcome.reason });
        break;
    }
  }

  async #onAccept(node: number, context: PeerContext): Promise<void> {
    const { state, trusted, settle, log } = this.#deps;
    const outcome = state.onAccept(node, context);
    if (outcome.action === "trusted") return await trusted(node);
    await settle();
    if (outcome.reason === "already" || outcome.reason === "stale") return;
    log("warn", "handshake accept ignored", { peer_node_id: node, reason: outcome.reason });
  }
}

function keyField(publicKey: Uint8Array | undefined): { publicKey?: Uint8Array } {
  return publicKey === undefined ? {} : { publicKey };
}
