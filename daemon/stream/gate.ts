/**
 * Who may open a connection or send a datagram to us: consent or a common network first, then rates
 * (docs/protocol/streams.md §4.3).
 *
 * The gate decides on what this process knows itself: which nodes it trusts or has asked, and which networks it has
 * joined. It trusts the registry about who is a member of those, and about nothing else.
 *
 * @module
 */

import { PORT_DATA_EXCHANGE, PORT_HANDSHAKE } from "../../protocol/well_known_ports.ts";
import type { Packet } from "../../protocol/packet.ts";
import type { Clock } from "../../platform/clock.ts";
import type { SharedNetwork } from "../registry/memberships.ts";
import { KeyedRateLimit, type Rate, TokenBucket } from "../../protocol/rate_limit.ts";

/** SYNs a second from all peers together: about what one core can answer. */
export const SYN_RATE: Rate = { perSecond: 10_000, burst: 20_000 };
/** SYNs a second from one peer that we do not trust (docs/protocol/streams.md §4.2). */
export const SYN_RATE_STRANGER: Rate = { perSecond: 10, burst: 64 };
/** SYNs a second from one trusted peer: above what one dials alone in a loop, half of what all may. */
export const SYN_RATE_TRUSTED: Rate = { perSecond: 5_000, burst: 10_000 };
/** Sources whose SYNs are counted (docs/protocol/streams.md §4.2). */
export const MAX_SYN_SOURCES = 4_096;
/**
 * How long a peer that we have asked something may answer on {@linkcode REPLY_PORTS} (docs/protocol/streams.md §4.3).
 */
export const REPLY_WINDOW_MS = 5 * 60_000;
/** Peers with an open reply window; the one asked longest ago goes. */
export const MAX_REPLY_WINDOWS = 4_096;
/** A question within this time of the last changes nothing, so that a flow of datagrams costs nothing here. */
const NOTE_AGAIN_MS = 10_000;
/** Packets kept while the registry is asked about their sender; others are lost, and their senders send again. */
export const MAX_HELD_PACKETS = 256;
/** Of those, from one sender. */
export const MAX_HELD_PER_NODE = 16;

/** Ports on which answers come as new connections. */
const REPLY_PORTS: ReadonlySet<number> = new Set([PORT_HANDSHAKE, PORT_DATA_EXCHANGE]);

/** Source of the packet, and its destination. */
export type Addressed = Pick<Packet, "srcNode" | "srcNetwork" | "dstNetwork" | "dstPort">;

/** What the gate needs to know. */
export interface GateDeps {
  readonly clock: Clock;
  /** This node is public: everyone may come. */
  readonly isPublic: () => boolean;
  /** The peer is in our trust store by consent. */
  readonly isTrusted: (node: number) => boolean;
  /** Trust in the peer was ended here: a common network does not let it in. */
  readonly isRevoked: (node: number) => boolean;
  /** We have asked this peer for trust and wait for its answer. A request of its own opens nothing. */
  readonly isExpected: (node: number) => boolean;
  readonly memberships: {
    /** Networks that we share with the peer; undefined when the registry must be asked. */
    known(node: number): readonly SharedNetwork[] | undefined;
    /** The same, asked; rejects when the registry cannot be asked. */
    ask(node: number): Promise<readonly SharedNetwork[]>;
  };
}

/** Something that we have asked a peer. */
interface Question {
  readonly askedMs: number;
  /** It was a member of a network of ours then, and that alone let us ask. */
  isMember: boolean;
}

/** Decides about first packets of peers. */
export class Gate {
  readonly #deps: GateDeps;
  readonly #all: TokenBucket;
  readonly #strangers = new KeyedRateLimit<number>(SYN_RATE_STRANGER, MAX_SYN_SOURCES);
  readonly #trusted = new KeyedRateLimit<number>(SYN_RATE_TRUSTED, MAX_SYN_SOURCES);
  readonly #asked = new Map<number, Question>();
  readonly #held = new Map<number, (() => void)[]>();
  #heldCount = 0;

  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#all = new TokenBucket(SYN_RATE, deps.clock.now());
  }

  /** We have dialled a peer, or sent it a datagram: its answer may come as a new connection. */
  noteQuestion(node: number): void {
    const now = this.#deps.clock.now();
    const before = this.#asked.get(node);
    if (before !== undefined && now - before.askedMs < NOTE_AGAIN_MS) return;
    const question = { askedMs: now, isMember: false };
    this.#asked.delete(node);
    this.#asked.set(node, question);
    if (this.#asked.size > MAX_REPLY_WINDOWS) {
      this.#asked.delete(this.#asked.keys().next().value!);
    }
    this.#noteMembership(node, question);
  }

  /** Questions to a member of a network end with its membership. */
  #noteMembership(node: number, question: Question): void {
    const { isTrusted, memberships } = this.#deps;
    if (isTrusted(node)) return;
    const note = (shared: readonly unknown[]) => question.isMember = shared.length > 0;
    const known = memberships.known(node);
    if (known !== undefined) note(known);
    // Without the registry nothing shows that it is one: then it is treated as an outsider.
    else memberships.ask(node).then(note, () => {});
  }

  /** Trust in the peer has ended: what was asked before does not open anything. */
  forget(node: number): void {
    this.#asked.delete(node);
  }

  /**
   * Whether a peer may send this packet; undefined when the registry must be asked, see {@linkcode Gate.hold}. The
   * networks in its addresses must be ones that we share: they are a claim, and programs go by them.
   */
  admits(packet: Addressed): boolean | undefined {
    const { srcNode: node, srcNetwork, dstNetwork, dstPort } = packet;
    const question = REPLY_PORTS.has(dstPort) ? this.#question(node) : undefined;
    const isOwn = this.#isAdmittedAlone(node, dstPort) || question?.isMember === false;
    const named = srcNetwork !== 0 || dstNetwork !== 0;
    if (isOwn && !named) return true;
    if (!isOwn && this.#deps.isRevoked(node)) return false;
    const shared = this.#deps.memberships.known(node);
    if (shared === undefined) return undefined;
    if (!named) return shared.some(({ allows }) => question !== undefined || allows(dstPort));
    const isRight = (network: number) =>
      network === 0 || shared.some(({ id, allows }) => id === network && allows(dstPort));
    return isRight(srcNetwork) && isRight(dstNetwork);
  }

  /**
   * Whether a peer may know that we are here: whether anything of ours answers it. Undefined when the registry must be
   * asked.
   */
  mayKnow(node: number): boolean | undefined {
    const { isTrusted, isPublic, isExpected, isRevoked, memberships } = this.#deps;
    if (isTrusted(node) || isPublic() || isExpected(node)) return true;
    if (this.#question(node)?.isMember === false) return true;
    if (isRevoked(node)) return false;
    const shared = memberships.known(node);
    return shared === undefined ? undefined : shared.length > 0;
  }

  /** {@linkcode Gate.mayKnow}, asking the registry where that is needed; no when it cannot be asked. */
  async askMayKnow(node: number): Promise<boolean> {
    const known = this.mayKnow(node);
    if (known !== undefined) return known;
    try {
      return (await this.#deps.memberships.ask(node)).length > 0;
    } catch {
      // The gate stays shut, and the peer's next packet asks again.
      return false;
    }
  }

  /**
   * Asks the registry about a peer, and hands its packet in again when the answer is there.
   *
   * @param retry Handles the packet as if it had come now; not called when there is no room, or no answer.
   */
  hold(node: number, retry: () => void): void {
    const waiting = this.#held.get(node) ?? [];
    if (waiting.length >= MAX_HELD_PER_NODE || this.#heldCount >= MAX_HELD_PACKETS) return;
    waiting.push(retry);
    this.#heldCount++;
    if (waiting.length > 1) return;
    this.#held.set(node, waiting);
    const release = () => {
      this.#held.delete(node);
      this.#heldCount -= waiting.length;
      return waiting;
    };
    this.#deps.memberships.ask(node).then(
      () => release().forEach((again) => again()),
      // The registry is not there: the packets are lost, and their sender sends again.
      () => void release(),
    );
  }

  /** Whether another SYN of this peer is within its rate and everybody's. */
  takeSyn(node: number): boolean {
    const now = this.#deps.clock.now();
    const limit = this.#deps.isTrusted(node) ? this.#trusted : this.#strangers;
    return limit.take(node, now) && this.#all.take(now);
  }

  /** Without the registry: by consent, as we are public, or as the answer to our request. */
  #isAdmittedAlone(node: number, port: number): boolean {
    const { isTrusted, isPublic, isExpected } = this.#deps;
    if (isTrusted(node) || isPublic()) return true;
    // The answer to our own request comes as a new connection from a peer that is not trusted yet.
    return port === PORT_HANDSHAKE && isExpected(node);
  }

  /** What we have asked a peer lately. */
  #question(node: number): Question | undefined {
    const question = this.#asked.get(node);
    if (question === undefined) return undefined;
    return this.#deps.clock.now() - question.askedMs < REPLY_WINDOW_MS ? question : undefined;
  }
}
