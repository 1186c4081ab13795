/**
 * What becomes of a frame that has arrived: opened under the session it belongs to, taken as a key, or answered
 * (docs/protocol/tunnel.md §3.1, §4.9). Nothing changes before a frame is authenticated.
 *
 * @module
 */

import { equalBytes } from "../../protocol/crypto/base64.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { decodePacket, PROTO_CONTROL } from "../../protocol/packet.ts";
import { type Route, sameRoute } from "../../protocol/path/mod.ts";
import {
  decodeFrame,
  type PilaFields,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
  pilsSender,
} from "../../protocol/tunnel/frame.ts";
import type { Clock } from "../../platform/clock.ts";
import type { ExchangeDriver } from "./exchange_driver.ts";
import type { KeyExchange } from "./key_exchange.ts";
import type { Lanes } from "./lanes.ts";
import type { PathDriver } from "./path_driver.ts";
import type { PathMtuDriver } from "./path_mtu.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import { FRAME_OVERHEAD_BYTES, type TunnelSender } from "./tunnel_sender.ts";
import type { Session } from "./tunnel_session.ts";
import type { TunnelDeps, TunnelStats } from "./types.ts";
import type { UpperLayer } from "./upper_layer.ts";

const TAG_BYTES = PILS_OVERHEAD_BYTES - PILS_HEADER_BYTES;

/** How a frame arrived. */
interface Arrival {
  readonly route: Route;
  readonly now: number;
  /** It proved the session that it is under. */
  readonly isNew: boolean;
  readonly isBatch: boolean;
}

/** What handling frames needs. */
export interface InboundParts {
  readonly clock: Clock;
  readonly peers: PeerTable;
  readonly kex: KeyExchange;
  readonly sender: TunnelSender;
  readonly driver: ExchangeDriver;
  readonly paths: PathDriver;
  readonly mtu: PathMtuDriver;
  readonly lanes: Lanes;
  readonly upper: UpperLayer;
  readonly stats: TunnelStats;
}

/** Handles frames. */
export class Inbound {
  readonly #deps: Pick<TunnelDeps, "consent" | "visibility" | "random" | "log">;
  readonly #parts: InboundParts;

  constructor(
    deps: Pick<TunnelDeps, "consent" | "visibility" | "random" | "log">,
    parts: InboundParts,
  ) {
    this.#deps = deps;
    this.#parts = parts;
  }

  /** Handles one frame, which is only used during the call. */
  onFrame(bytes: Uint8Array, route: Route, isBatch: boolean): void {
    const sender = pilsSender(bytes);
    if (sender !== undefined) {
      // Too short to hold a packet: nobody seals that, and our answer of 138 B would be worth asking for by it.
      if (sender === this.#parts.sender.self || bytes.length < FRAME_OVERHEAD_BYTES) return;
      this.#onSealed(sender, bytes, route, isBatch);
      return;
    }
    const frame = decodeFrame(bytes);
    if (frame instanceof DecodeError) return;
    switch (frame.type) {
      case "pila":
        if (frame.sender !== this.#parts.sender.self) this.#onPila(frame, route);
        break;
      // Never taken as a key; as a request for ours it is answered (§4.5), where its node may know that we are
      // here: existing peers ask with these 40 B, so they cannot be refused for their size.
      case "pilk":
        this.#reply(frame.sender, "request", route);
        break;
      case "pilt": // Encryption is always on (§3.2).
        this.#parts.stats.plaintextRefused++;
        break;
      case "pilp": // Sending it opened the NAT on the way; there is nothing to do here.
        break;
    }
  }

  #onSealed(sender: number, frame: Uint8Array, route: Route, isBatch: boolean): void {
    const peer = this.#parts.peers.get(sender);
    if (peer?.session === undefined) {
      if (this.#parts.kex.isVerifying(sender)) this.#parts.kex.holdEarly(sender, frame, route);
      else this.#reply(sender, "unopened", route);
      return;
    }
    const now = this.#parts.clock.now();
    // The frame is opened in place, so what may have to wait for a key under verification is kept before.
    const kept = this.#parts.kex.isVerifying(sender) ? frame.slice() : undefined;
    const { result, session, replaced, promoted } = peer.open(frame, now);
    if (result === "replayed") {
      this.#parts.stats.replaysDropped++;
    } else if (result === "forged") {
      this.#parts.stats.encryptFail++;
      // Either noise, or the peer has a new key that we do not know yet.
      if (kept !== undefined) this.#parts.kex.holdEarly(sender, kept, route);
      else this.#reply(sender, "unopened", route);
    } else {
      const isNew = promoted === true && session !== undefined;
      const bytes = frame.subarray(PILS_HEADER_BYTES, -TAG_BYTES);
      this.#onPlain(peer, bytes, { route, now, isNew, isBatch });
      if (isNew) this.#onProven(peer, session, replaced !== undefined);
    }
  }

  #onPlain(peer: PeerTunnel, bytes: Uint8Array, { route, now, isNew, isBatch }: Arrival): void {
    const packet = decodePacket(bytes);
    if (packet instanceof DecodeError) {
      this.#parts.stats.encryptFail++;
      return;
    }
    const isControl = packet.protocol === PROTO_CONTROL;
    const isMoved = isNew && peer.paths.restarted(route, now);
    const frameBytes = bytes.length + PILS_OVERHEAD_BYTES;
    if (peer.paths.heard(route, now, !isControl, frameBytes) || isMoved) {
      this.#parts.upper.pathChanged(peer);
    }
    this.#parts.stats.encryptOk++;
    this.#parts.stats.packetsReceived++;
    this.#parts.stats.bytesReceived += packet.payload.length;
    // The tunnel has authenticated the sender, so it alone may be the source (§5.4).
    if (packet.srcNode !== peer.node || packet.dstNode !== this.#parts.sender.self) return;
    const isOurs = isControl &&
      (this.#parts.paths.onAnswer(peer, packet, route) ||
        this.#parts.mtu.onPacket(peer, packet, route));
    if (!isOurs) this.#parts.upper.user.onPacket(packet, route, isBatch);
    this.#parts.paths.stir(peer);
  }

  #onProven(peer: PeerTunnel, session: Session, rekeyed: boolean): void {
    session.separatePrefix(this.#deps.random);
    this.#parts.driver.stop(peer);
    peer.pending = [];
    if (session.isOriginDoubtful) peer.paths.distrust(this.#parts.clock.now());
    this.#parts.upper.proven(peer, rekeyed);
    this.#parts.paths.stir(peer);
  }

  #onPila(pila: PilaFields, route: Route): void {
    const node = pila.sender;
    const peer = this.#parts.peers.get(node);
    const known = peer?.find(pila.x25519);
    if (peer !== undefined && known !== undefined) {
      if (this.#isStrange(peer, known, route)) {
        this.#parts.driver.answerStranger(peer, known, route);
        return;
      }
      // Nothing new, and perhaps a replay: no state changes, and an answer only on request, at a limited rate.
      if (pila.request) this.#reply(node, "response", route);
      return;
    }
    // Costs nothing, and ends what anybody can forge in the name of a trusted peer without a limit being touched.
    const pinned = this.#deps.consent.pinnedKey(node);
    if (pinned !== undefined && !equalBytes(pinned, pila.ed25519)) {
      this.#parts.upper.keyMismatch(node);
      return;
    }
    const isExpected = peer?.cancelTimer !== undefined || this.#parts.upper.isWanted(node);
    const source = route.via === "relay" ? `relay ${node}` : route.endpoint.host;
    const lane = this.#parts.lanes.of(node, route);
    if (!this.#parts.kex.admits(source, node, lane, isExpected)) {
      if (isExpected && lane === "other") this.#parts.lanes.learn(node);
      return;
    }
    this.#parts.kex.verify(pila, route, lane, isExpected).then((verified) => {
      if (this.#parts.peers.isClosed && typeof verified !== "string") verified.session.destroy();
      if (this.#parts.peers.isClosed || verified === "busy") return;
      if (typeof verified === "string") {
        // Anybody can cause this, so it must not fill the log.
        this.#deps.log("debug", "key exchange refused", { peer_node_id: node, reason: verified });
        if (verified === "mismatch") {
          this.#parts.upper.keyMismatch(node);
        }
        return;
      }
      this.#install(node, verified.session, route);
      for (const early of verified.early) this.#onSealed(node, early.frame, early.route, false);
    }).catch((error) =>
      this.#deps.log("error", "key exchange failed", { peer_node_id: node, error: String(error) })
    );
  }

  /** Answers or asks by PILA where the node may know that we are here. */
  #reply(node: number, kind: "request" | "response" | "unopened", route: Route): void {
    if (!this.#parts.upper.isWanted(node) && this.#deps.visibility.mayKnow(node) !== true) return;
    const lane = this.#parts.lanes.of(node, route);
    if (kind === "unopened") this.#parts.driver.ask(node, route, lane);
    else this.#parts.driver.reply(node, kind, route, lane);
  }

  #install(node: number, session: Session, route: Route): void {
    const peer = this.#parts.peers.make(node);
    if (peer === undefined || peer.find(session.peerKey) !== undefined) {
      session.destroy();
      return;
    }
    peer.addCandidate(session);
    if (this.#isStrange(peer, session, route)) {
      this.#parts.driver.answerStranger(peer, session, route);
      return;
    }
    this.#parts.driver.send(node, "response", route);
    if (peer.live !== undefined) this.#parts.driver.challenge(peer, session);
    // A datagram is not answered, and without an answer the key would stay unproven.
    else if (!this.#parts.sender.flush(peer)) this.#parts.driver.prove(peer);
  }

  /** A new key beside a live session, from where the peer was never seen: either it has moved, or somebody replays. */
  #isStrange(peer: PeerTunnel, session: Session, route: Route): boolean {
    return peer.live !== undefined && peer.candidates.includes(session) &&
      !peer.paths.all.some((candidate) => sameRoute(candidate.route, route));
  }
}
