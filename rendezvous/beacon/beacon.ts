/**
 * The beacon without its socket (rendezvous.md §10): tells nodes their endpoint, introduces them to each other
 * and relays between them.
 *
 * It sends only to endpoints that sent it a Discover, and never more bytes than it got but for the few of a
 * DiscoverReply, whose rate is limited; so it is no amplifier.
 *
 * @module
 */

import { BeaconType, decodeBeacon, encodeBeacon } from "../../protocol/beacon.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { type Source, sourceOf } from "../source.ts";
import { TokenBuckets } from "../token_bucket.ts";
import {
  MAX_SOURCES,
  RELAY_BURST,
  RELAY_PER_SECOND,
  REPLIES_BURST,
  REPLIES_PER_SECOND,
} from "./limits.ts";
import { type Mapping, type MappingLimits, Mappings } from "./mappings.ts";

/** A datagram to send. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  readonly to: Deno.NetAddr;
}

/** Counts since the start. */
export interface BeaconCounters {
  discovers: number;
  punches: number;
  relayed: number;
  relayUnknown: number;
  limited: number;
  ignored: number;
}

const NOTHING: readonly Outgoing[] = [];

/** State and rules of a beacon. */
export class Beacon {
  /** Counts for logs and tests. */
  readonly counters: BeaconCounters = {
    discovers: 0,
    punches: 0,
    relayed: 0,
    relayUnknown: 0,
    limited: 0,
    ignored: 0,
  };
  readonly #mappings: Mappings;
  readonly #relayRate: TokenBuckets = new TokenBuckets({
    burst: RELAY_BURST,
    perSecond: RELAY_PER_SECOND,
    maxSources: MAX_SOURCES,
  });
  readonly #replyRate: TokenBuckets = new TokenBuckets({
    burst: REPLIES_BURST,
    perSecond: REPLIES_PER_SECOND,
    maxSources: MAX_SOURCES,
  });

  /** @param limits Bounds of the table of nodes, other than the defaults. */
  constructor(limits: MappingLimits = {}) {
    this.#mappings = new Mappings(limits);
  }

  /** Nodes with a known endpoint. */
  get size(): number {
    return this.#mappings.size;
  }

  /**
   * Handles one datagram.
   *
   * @param datagram What came. May be reused after the outgoing datagrams were sent.
   * @param from Where it came from.
   * @param now Monotonic milliseconds.
   * @returns What to send.
   */
  receive(datagram: Uint8Array, from: Deno.NetAddr, now: number): readonly Outgoing[] {
    // Cluster sync, which this beacon does not do, is the one message that is expensive to decode.
    if (datagram[0] === BeaconType.sync) return this.#ignore();
    const message = decodeBeacon(datagram);
    if (message instanceof DecodeError) return this.#ignore();
    const source = sourceOf(from.hostname);
    switch (message.type) {
      case "discover":
        return this.#discover(message.node, message.ex, { from, source, now });
      case "punch_request":
        return this.#punch(message.requester, message.target, { source, now });
      case "relay":
        return this.#relay(message, { source, now });
      default:
        return this.#ignore(); // answers of beacons
    }
  }

  #ignore(): readonly Outgoing[] {
    this.counters.ignored++;
    return NOTHING;
  }

  #limit(): readonly Outgoing[] {
    this.counters.limited++;
    return NOTHING;
  }

  /** Node 0 only asks for its endpoint: it is not known yet, so it is answered and forgotten. */
  #discover(
    node: number,
    ex: boolean,
    { from, source, now }: { from: Deno.NetAddr; source: Source; now: number },
  ): readonly Outgoing[] {
    if (!this.#replyRate.take(source.key, now)) return this.#limit();
    const mapping: Mapping = { addr: from, source, ex, lastSeen: now };
    if (node !== 0 && !this.#mappings.set(node, mapping)) return this.#limit();
    this.counters.discovers++;
    const bytes = encodeBeacon({ type: "discover_reply", ip: source.bytes, port: from.port });
    return [{ bytes, to: from }];
  }

  /** Introduces two known nodes. The request itself moves no mapping: only a Discover does. */
  #punch(
    requester: number,
    target: number,
    { source, now }: { source: Source; now: number },
  ): readonly Outgoing[] {
    const asking = this.#mappings.get(requester);
    const wanted = this.#mappings.get(target);
    if (asking === undefined || wanted === undefined || asking === wanted) {
      return this.#ignore();
    }
    if (!this.#replyRate.take(source.key, now)) return this.#limit();
    this.counters.punches++;
    return [command(asking, wanted), command(wanted, asking)];
  }

  #relay(
    { sender, dest, frame }: { sender: number; dest: number; frame: Uint8Array },
    { source, now }: { source: Source; now: number },
  ): readonly Outgoing[] {
    const target = this.#mappings.get(dest);
    if (target === undefined) {
      this.counters.relayUnknown++;
      return NOTHING;
    }
    if (!this.#relayRate.take(source.key, now)) return this.#limit();
    this.counters.relayed++;
    const bytes = encodeBeacon(
      target.ex
        ? { type: "relay_deliver_dest", sender, dest, frame }
        : { type: "relay_deliver", sender, frame },
    );
    return [{ bytes, to: target.addr }];
  }

  /** Forgets nodes that were silent too long. */
  sweep(now: number): void {
    this.#mappings.sweep(now);
  }
}

/** Tells `to` where `about` is. */
function command(to: Mapping, about: Mapping): Outgoing {
  const { bytes: ip } = about.source;
  return {
    bytes: encodeBeacon({ type: "punch_command", ip, port: about.addr.port }),
    to: to.addr,
  };
}
