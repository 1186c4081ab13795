/**
 * A NAT box as RFC 4787 describes them, between two segments of the simulated internet.
 *
 * @module
 */

import type { Clock } from "../../../platform/clock.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import type { Random } from "../random.ts";
import { type Datagram, type Internet, type LinkOptions, name, type Segment } from "./internet.ts";

/** What of the other side's address matters: nothing, its address, or address and port (RFC 4787 §4.1, §5). */
export type Dependence = "independent" | "address" | "port";

/** Behavior of a box. */
export interface NatBehavior {
  /** Whether destinations share a mapping. */
  readonly mapping: Dependence;
  /** Who may use a mapping from outside. */
  readonly filtering: Dependence;
  /** Which public ports are given; default `preserve`: the inner one if it is free. */
  readonly ports?: "preserve" | "random";
  /** Hosts behind it reach each other by its public address; default false. */
  readonly hairpin?: boolean;
  /** After this silence a mapping is forgotten, ms; default 120 s. */
  readonly timeoutMs?: number;
  /** What comes in keeps a mapping up too; default false. */
  readonly inboundRefresh?: boolean;
  /** Mappings at a time; more are refused. Default 1024. */
  readonly maxMappings?: number;
}

/** Other sides remembered of one mapping; the oldest is forgotten. */
const MAX_REMOTES = 1_024;
const FIRST_PORT = 1_024;
const PORTS = 65_536 - FIRST_PORT;

interface Mapping {
  readonly key: string;
  readonly inside: Endpoint;
  readonly port: number;
  readonly isStatic: boolean;
  usedMs: number;
  /** When the inside last sent there, by what the filter looks at. */
  readonly remotes: Map<string, number>;
}

/** Between an inner and an outer segment. */
export class NatBox {
  readonly behavior: Required<NatBehavior>;
  /** Mappings refused because the table was full. */
  refused = 0;
  /** Datagrams from outside that found no mapping or did not pass the filter. */
  filtered = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #inside: Segment;
  readonly #outside: Segment;
  readonly #link: LinkOptions;
  readonly #byKey = new Map<string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();
  /** Ports that a flush took away: mappings get others then, as after a restart of the box. */
  readonly #burnt = new Set<number>();
  #host: string;
  #detach: () => void;

  constructor(net: Internet, options: {
    behavior: NatBehavior;
    inside: Segment;
    outside: Segment;
    /** Its address outside. */
    host: string;
    link?: LinkOptions;
  }) {
    this.behavior = {
      ports: "preserve",
      hairpin: false,
      timeoutMs: 120_000,
      inboundRefresh: false,
      maxMappings: 1_024,
      ...options.behavior,
    };
    this.#clock = net.clock;
    this.#random = net.random;
    this.#inside = options.inside;
    this.#outside = options.outside;
    this.#link = options.link ?? {};
    this.#host = options.host;
    this.#detach = this.#attach();
    this.#inside.gateway = (datagram) => this.#fromInside(datagram);
  }

  /** Its address outside. */
  get host(): string {
    return this.#host;
  }

  /** Mappings that live. */
  get size(): number {
    this.#expire();
    return this.#byPort.size;
  }

  /** Sends whatever comes to a port to a host inside, and what that sends leaves from this port. */
  forward(port: number, inside: Endpoint): void {
    const key = `forward ${name(inside)}`;
    this.#set({ key, inside, port, isStatic: true, usedMs: Infinity, remotes: new Map() });
  }

  /** Forgets all mappings but the forwarded ports; new ones get other ports. */
  flush(): void {
    for (const mapping of [...this.#byPort.values()]) {
      if (mapping.isStatic) continue;
      this.#burnt.add(mapping.port);
      this.#delete(mapping);
    }
  }

  /** Gets another address outside, and forgets all mappings with the old one. */
  move(host: string): void {
    this.#detach();
    this.#host = host;
    this.#detach = this.#attach();
    this.flush();
  }

  #attach(): () => void {
    return this.#outside.attach(this.#host, (datagram) => this.#fromOutside(datagram), this.#link);
  }

  #fromInside(datagram: Datagram): void {
    const mapping = this.#mappingFor(datagram.from, datagram.to);
    if (mapping === undefined) {
      this.refused++;
      return;
    }
    const now = this.#clock.now();
    if (!mapping.isStatic) mapping.usedMs = now;
    const remote = part(this.behavior.filtering, datagram.to);
    mapping.remotes.delete(remote);
    mapping.remotes.set(remote, now);
    if (mapping.remotes.size > MAX_REMOTES) {
      mapping.remotes.delete(mapping.remotes.keys().next().value!);
    }
    const translated = { ...datagram, from: { host: this.#host, port: mapping.port } };
    if (datagram.to.host !== this.#host) this.#outside.send(translated);
    else if (this.behavior.hairpin) this.#fromOutside(translated);
  }

  #fromOutside(datagram: Datagram): void {
    this.#expire();
    const now = this.#clock.now();
    const mapping = this.#byPort.get(datagram.to.port);
    if (mapping === undefined || !this.#admits(mapping, datagram.from, now)) {
      this.filtered++;
      return;
    }
    if (this.behavior.inboundRefresh && !mapping.isStatic) {
      mapping.usedMs = now;
      mapping.remotes.set(part(this.behavior.filtering, datagram.from), now);
    }
    this.#inside.send({ ...datagram, to: mapping.inside });
  }

  #admits(mapping: Mapping, from: Endpoint, now: number): boolean {
    const { filtering, timeoutMs } = this.behavior;
    if (mapping.isStatic || filtering === "independent") return true;
    const sentMs = mapping.remotes.get(part(filtering, from));
    return sentMs !== undefined && now - sentMs < timeoutMs;
  }

  #mappingFor(inside: Endpoint, to: Endpoint): Mapping | undefined {
    this.#expire();
    const forwarded = this.#byKey.get(`forward ${name(inside)}`);
    if (forwarded !== undefined) return forwarded;
    const key = `${name(inside)} ${part(this.behavior.mapping, to)}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byPort.size >= this.behavior.maxMappings) return undefined;
    const port = this.#freePort(inside.port);
    const usedMs = this.#clock.now();
    const mapping = { key, inside, port, isStatic: false, usedMs, remotes: new Map() };
    this.#set(mapping);
    return mapping;
  }

  #set(mapping: Mapping): void {
    this.#byKey.set(mapping.key, mapping);
    this.#byPort.set(mapping.port, mapping);
  }

  #delete(mapping: Mapping): void {
    this.#byKey.delete(mapping.key);
    this.#byPort.delete(mapping.port);
  }

  #freePort(wanted: number): number {
    const isRandom = this.behavior.ports === "random";
    let port = isRandom ? FIRST_PORT + this.#random.int(0, PORTS) : wanted;
    while (this.#byPort.has(port) || this.#burnt.has(port)) {
      port = FIRST_PORT + (port + 1 - FIRST_PORT) % PORTS;
    }
    return port;
  }

  #expire(): void {
    const now = this.#clock.now();
    for (const mapping of [...this.#byPort.values()]) {
      if (now - mapping.usedMs >= this.behavior.timeoutMs) this.#delete(mapping);
    }
  }
}

function part(dependence: Dependence, endpoint: Endpoint): string {
  if (dependence === "independent") return "";
  return dependence === "address" ? endpoint.host : name(endpoint);
}
