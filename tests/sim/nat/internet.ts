/**
 * An internet in memory, on a virtual clock: segments with delay, loss and a largest datagram, to which hosts and
 * the outer and inner sides of NAT boxes are attached, and taps that see what passes.
 *
 * @module
 */

import type { Clock } from "../../../platform/clock.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Random } from "../random.ts";

/** Largest UDP payload on an Ethernet without fragments (IPv4), bytes. */
export const ETHERNET_PAYLOAD_BYTES = 1_472;

/** A datagram on its way. */
export interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly data: Uint8Array;
  /** May become fragments where it is too large. */
  readonly mayFragment: boolean;
}

/** What a tap sees. */
export interface Passed extends Datagram {
  readonly at: number;
  /** Name of the segment. */
  readonly segment: string;
  /** It went no further. */
  readonly isLost: boolean;
}

/** Takes a datagram. */
export type Deliver = (datagram: Datagram) => void;

/** How a host or a box hangs on a segment. */
export interface LinkOptions {
  /** Delay of its link in each direction, ms. */
  readonly delayMs?: number;
  /** Probability of loss on its link in each direction. */
  readonly loss?: number;
}

/** `host:port`. */
export function name({ host, port }: Endpoint): string {
  return `${host}:${port}`;
}

function isV6({ host }: Endpoint): boolean {
  return host.includes(":");
}

interface Link extends Required<LinkOptions> {
  readonly receive: Deliver;
}

const NO_LINK = { delayMs: 0, loss: 0 };

/** One network in which addresses are unique: the Internet, a carrier's inner network, a LAN. */
export class Segment {
  readonly name: string;
  /** One-way delay between two links, ms. */
  delayMs: number;
  /** Largest datagram that is not fragmented, bytes of UDP payload. */
  maxBytes: number = ETHERNET_PAYLOAD_BYTES;
  /** Takes what is for no address of this segment; without it such datagrams vanish. */
  gateway: Deliver | undefined;
  /** Decides which datagrams a test makes vanish. */
  drop: (datagram: Datagram) => boolean = () => false;
  readonly #net: Internet;
  readonly #links = new Map<string, Link>();

  constructor(net: Internet, options: { name: string; delayMs: number }) {
    this.#net = net;
    this.name = options.name;
    this.delayMs = options.delayMs;
  }

  /** Takes an address; the returned function gives it back. */
  attach(host: string, receive: Deliver, options: LinkOptions = {}): () => void {
    if (this.#links.has(host)) throw new Error(`${host} is taken in ${this.name}`);
    this.#links.set(host, { ...NO_LINK, ...options, receive });
    return () => void this.#links.delete(host);
  }

  /** Sends a datagram from any address: networks do not check it. */
  send(datagram: Datagram): void {
    const { clock, random } = this.#net;
    const from = this.#links.get(datagram.from.host) ?? NO_LINK;
    const to = this.#links.get(datagram.to.host) ?? NO_LINK;
    // A network carries bytes, not buffers that somebody may still write to.
    const sent = { ...datagram, data: datagram.data.slice() };
    const isTooLarge = sent.data.length > this.maxBytes && !sent.mayFragment;
    const isRoutable = isV6(sent.from) === isV6(sent.to);
    const isLost = isTooLarge || !isRoutable || random.chance(from.loss) ||
      random.chance(to.loss) ||
      this.drop(sent);
    this.#net.tell({ ...sent, at: clock.now(), segment: this.name, isLost });
    if (isLost) return;
    clock.after(from.delayMs + this.delayMs + to.delayMs, () => {
      const link = this.#links.get(sent.to.host);
      if (link === undefined) this.gateway?.(sent);
      else link.receive(sent);
    });
  }
}

/** All segments. */
export class Internet {
  readonly clock: Clock;
  readonly random: Random;
  /** The segment with public addresses. */
  readonly core: Segment;
  readonly #taps = new Set<(passed: Passed) => void>();

  constructor(clock: Clock, options: { seed?: number; delayMs?: number } = {}) {
    this.clock = clock;
    this.random = new Random(options.seed ?? 1);
    this.core = new Segment(this, { name: "internet", delayMs: options.delayMs ?? 20 });
  }

  /** Sees every datagram on every segment, lost ones too; the returned function ends it. */
  tap(see: (passed: Passed) => void): () => void {
    this.#taps.add(see);
    return () => void this.#taps.delete(see);
  }

  /** For segments: something was sent. */
  tell(passed: Passed): void {
    for (const see of this.#taps) see(passed);
  }
}
