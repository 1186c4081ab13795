/**
 * What becomes of a frame that has arrived: opened under the session it belongs to, taken as a key, or answered
 * (docs/protocol/tunnel.md §3.1, §4.9). Nothing changes before a frame is authenticated. Sans-I/O.
 *
 * @module
 */

import type { Aead } from "../crypto/aead.ts";
import { equalBytes } from "../crypto/base64.ts";
import { DecodeError } from "../errors.ts";
import { decodePacket, PROTO_CONTROL } from "../packet.ts";
import { hostOf, type Route } from "../path/mod.ts";
import { KeyedRateLimit, TokenBucket } from "../rate_limit.ts";
import type { Exchanges } from "./exchanges.ts";
import {
  decodeFrame,
  type PilaFields,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
  pilsSender,
} from "./frame.ts";
import { laneOf } from "./lanes.ts";
import type { PathSizes } from "./path_sizes.ts";
import type { PathUpkeep } from "./path_upkeep.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { TunnelAction, TunnelHost } from "./tunnel_host.ts";
import { LEARN_RATE, LEARN_RATE_PER_NODE, MAX_PEERS } from "./tunnel_limits.ts";
import { FRAME_OVERHEAD_BYTES, type TunnelSender } from "./tunnel_sender.ts";
import type { Session } from "./tunnel_session.ts";
import type { TunnelStats } from "./tunnel_stats.ts";
import type { Verification, Verifications } from "./verifications.ts";

const TAG_BYTES = PILS_OVERHEAD_BYTES - PILS_HEADER_BYTES;

/** What handling frames needs. */
export interface InboundParts {
  readonly peers: PeerTable;
  readonly verifications: Verifications;
  readonly sender: TunnelSender;
  readonly exchanges: Exchanges;
  readonly paths: PathUpkeep;
  readonly sizes: PathSizes;
  readonly host: TunnelHost;
  readonly stats: TunnelStats;
  readonly random: (out: Uint8Array) => void;
  readonly act: (action: TunnelAction) => void;
  readonly now: number;
}

/** Handles frames. */
export class Inbound {
  readonly #parts: InboundParts;
  readonly #learning: TokenBucket;
  readonly #learningPerNode = new KeyedRateLimit<number>(LEARN_RATE_PER_NODE, MAX_PEERS);

  constructor(parts: InboundParts) {
    this.#parts = parts;
    this.#learning = new TokenBucket(LEARN_RATE, parts.now);
  }

  /** Handles one frame, which is only used during the call. */
  onFrame(bytes: Uint8Array, route: Route, isBatch: boolean, now: number): void {
    const sender = pilsSender(bytes);
    if (sender !== undefined) {
      // Too short to hold a packet: nobody seals that, and our answer of 138 B would amplify it.
      if (sender === this.#parts.sender.self || bytes.length < FRAME_OVERHEAD_BYTES) return;
      this.#onSealed(sender, bytes, route, isBatch, now);
      return;
    }
    const frame = decodeFrame(bytes);
    if (frame instanceof DecodeError) return;
    switch (frame.type) {
      case "pila":
        if (frame.sender !== this.#parts.sender.self) this.#onPila(frame, route, now);
        break;
      // Never taken as a key; as a request for ours it is answered (§4.5), where its node may know that we are
      // here: existing peers ask with these 40 B, so they cannot be refused for their size.
      case "pilk":
        this.#reply(frame.sender, "request", route, now);
        break;
      case "pilt": // Encryption is always on (§3.2).
        this.#parts.stats.plaintextRefused++;
        break;
      case "pilp": // Sending it opened the NATs on the path; there is nothing to do here.
        break;
    }
  }

  /**
   * A verification has ended.
   *
   * @param verification As it came out in the action.
   * @param result The cipher under the key that was derived, or why there is none; "mismatch": the node has another one.
   * @param now Milliseconds.
   */
  onVerified(verification: Verification, result: Aead | string, now: number): void {
    const { verifications, act } = this.#parts;
    const { node, route, early } = verification;
    verifications.end(verification);
    if (typeof result === "string") {
      if (result === "mismatch") act({ type: "key_mismatch", node });
      return;
    }
    this.#install(node, verifications.session(verification, result, now), route, now);
    for (const { frame, route } of early) this.#onSealed(node, frame, route, false, now);
  }

  #onSealed(
    sender: number,
    frame: Uint8Array,
    route: Route,
    isBatch: boolean,
    now: number,
  ): void {
    const { peers, verifications, stats } = this.#parts;
    const peer = peers.get(sender);
    if (peer?.session === undefined) {
      if (verifications.isVerifying(sender)) verifications.holdEarly(sender, frame, route);
      else this.#reply(sender, "unopened", route, now);
      return;
    }
    // The frame is opened in place, so what may have to wait for a key under verification is kept before.
    const kept = verifications.isVerifying(sender) ? frame.slice() : undefined;
    const { result, session, replaced, promoted } = peer.open(frame, now);
    if (result === "replayed") {
      stats.replaysDropped++;
    } else if (result === "forged") {
      stats.encryptFail++;
      // Either noise, or the peer has a new key that we do not know yet.
      if (kept !== undefined) verifications.holdEarly(sender, kept, route);
      else this.#reply(sender, "unopened", route, now);
    } else {
      const isNew = promoted === true && session !== undefined;
      if (isNew) this.#parts.exchanges.settle(session);
      this.#onPlain(
        peer,
        frame.subarray(PILS_HEADER_BYTES, -TAG_BYTES),
        route,
        isBatch,
        isNew,
        now,
      );
      if (isNew) this.#onProven(peer, session, replaced !== undefined, now);
    }
  }

  #onPlain(
    peer: PeerTunnel,
    bytes: Uint8Array,
    route: Route,
    isBatch: boolean,
    isNew: boolean,
    now: number,
  ): void {
    const { stats, paths, sizes, host, sender } = this.#parts;
    const packet = decodePacket(bytes);
    if (packet instanceof DecodeError) {
      stats.encryptFail++;
      return;
    }
    const isControl = packet.protocol === PROTO_CONTROL;
    const isMoved = isNew && peer.paths.restarted(route, now);
    const frameBytes = bytes.length + PILS_OVERHEAD_BYTES;
    if (peer.paths.heard(route, now, !isControl, frameBytes) || isMoved) paths.changed(peer);
    stats.encryptOk++;
    stats.packetsReceived++;
    stats.bytesReceived += packet.payload.length;
    // The tunnel has authenticated the sender, so it alone may be the source (§5.4).
    if (packet.srcNode !== peer.node || packet.dstNode !== sender.self) return;
    const isOurs = isControl &&
      (paths.onAnswer(peer, packet, route, now) || sizes.onPacket(peer, packet, route, now));
    if (!isOurs) host.onPacket(packet, route, isBatch);
    paths.reschedule(peer, now);
  }

  #onProven(peer: PeerTunnel, session: Session, isRekeyed: boolean, now: number): void {
    const { exchanges, paths, random, act } = this.#parts;
    session.separatePrefix(random);
    exchanges.stop(peer);
    peer.takePending();
    if (session.isOriginDoubtful) peer.paths.distrust(now);
    act({ type: "proven", node: peer.node, isRelayed: peer.viaRelay, isRekeyed });
    paths.reschedule(peer, now);
  }

  #onPila(pila: PilaFields, route: Route, now: number): void {
    const { peers, exchanges, verifications, host, act } = this.#parts;
    const node = pila.sender;
    const peer = peers.get(node);
    const known = peer?.find(pila.x25519);
    if (peer !== undefined && known !== undefined) {
      if (isUnvalidated(peer, known, route)) {
        exchanges.answerUnvalidated(peer, known, route, now);
        return;
      }
      // Nothing new, and perhaps a replay: no state changes, and an answer only on request, at a limited rate.
      if (pila.request) this.#reply(node, "response", route, now);
      return;
    }
    // Costs nothing, and ends what anyone can forge in the name of a trusted peer without a limit being touched.
    const pinned = host.pinnedKey(node);
    if (pinned !== undefined && !equalBytes(pinned, pila.ed25519)) {
      act({ type: "key_mismatch", node });
      return;
    }
    const isExpected = (peer !== undefined && exchanges.isRunning(peer)) || host.isWanted(node);
    const lane = laneOf(peer, route);
    if (!verifications.admits(hostOf(route) ?? `relay ${node}`, node, lane, isExpected, now)) {
      if (isExpected && lane === "other") this.#learn(node, now);
      return;
    }
    const verification = verifications.begin(pila, route, lane, isExpected);
    if (verification !== undefined) act({ type: "verify", verification });
  }

  /** Frames in a peer's name come from everywhere: the registry knows from where its own may come. */
  #learn(node: number, now: number): void {
    if (!this.#learningPerNode.take(node, now) || !this.#learning.take(now)) return;
    this.#parts.act({ type: "resolve", node, reason: "claimed" });
  }

  /** Answers or asks by PILA where the node may know that we are here. */
  #reply(
    node: number,
    kind: "request" | "response" | "unopened",
    route: Route,
    now: number,
  ): void {
    const { peers, exchanges, host } = this.#parts;
    if (!host.isWanted(node) && host.mayKnow(node) !== true) return;
    const lane = laneOf(peers.get(node), route);
    if (kind === "unopened") exchanges.ask(node, route, lane, now);
    else exchanges.reply(node, kind, route, lane, now);
  }

  #install(node: number, session: Session, route: Route, now: number): void {
    const { peers, exchanges, sender } = this.#parts;
    const peer = peers.make(node, now);
    if (peer === undefined || peer.find(session.peerKey) !== undefined) {
      session.destroy();
      return;
    }
    peer.addCandidate(session);
    if (isUnvalidated(peer, session, route)) {
      exchanges.answerUnvalidated(peer, session, route, now);
      return;
    }
    exchanges.send(node, "response", route);
    if (peer.live !== undefined) exchanges.challenge(peer, session, now);
    // A datagram is not answered, and without an answer the key would stay unproven.
    else if (!sender.flush(peer, now)) exchanges.prove(peer, now);
  }
}

/** A new key beside a live session, over no known path: either the peer has moved, or it is a replay. */
function isUnvalidated(peer: PeerTunnel, session: Session, route: Route): boolean {
  return peer.live !== undefined && peer.candidates.includes(session) &&
    peer.paths.find(route) === undefined;
}
