/**
 * Addresses of this machine: those by which peers may reach it, and all of them.
 *
 * @module
 */

import { networkInterfaces } from "node:os";
import { formatIp, isLoopbackIp, isPrivateIp, parseIp } from "../protocol/ip.ts";
import { getLogger, LOG_CATEGORY } from "./log.ts";

/** This machine's addresses. */
export interface LocalAddresses {
  /** IPv4 addresses other than loopback: may work within the same network. */
  readonly ipv4: readonly string[];
  /** IPv6 addresses that are valid everywhere. */
  readonly globalIpv6: readonly string[];
}

/** What the system reports of one address of an interface. */
export interface InterfaceAddress {
  /** The address; a link-local one may have a zone. */
  readonly address: string;
  readonly family: string;
  /** Interface that has it. */
  readonly name?: string;
  /** Number of that interface, with IPv6. */
  readonly scopeid?: number | undefined;
  /** Loopback. */
  readonly internal: boolean;
}

/**
 * Lists the addresses of the interfaces. Some systems do not let every process do that (no netlink sockets, no
 * descriptor left), and the list is nowhere indispensable: it warns once and continues with
 * the list that it had last.
 */
export class InterfaceList {
  readonly #ask: () => readonly InterfaceAddress[];
  readonly #warn: (error: string) => void;
  #last: readonly InterfaceAddress[] = [];
  #hasWarned = false;

  /**
   * @param ask Asks the system; may throw.
   * @param warn Called at the first failure, and at the first one after a success.
   */
  constructor(ask: () => readonly InterfaceAddress[], warn: (error: string) => void) {
    this.#ask = ask;
    this.#warn = warn;
  }

  /** What the system says now; its last answer when it says nothing, empty before the first. */
  now(): readonly InterfaceAddress[] {
    try {
      this.#last = this.#ask();
      this.#hasWarned = false;
    } catch (error) {
      if (!this.#hasWarned) this.#warn(String(error));
      this.#hasWarned = true;
    }
    return this.#last;
  }

  /** The addresses by which peers may reach this machine. */
  reachable(): LocalAddresses {
    const ipv4: string[] = [];
    const globalIpv6: string[] = [];
    for (const { address, family, internal } of this.now()) {
      if (internal) continue;
      // A zone marks a link-local address, which means nothing elsewhere.
      if (family === "IPv4") ipv4.push(address);
      else if (!address.includes("%") && isGlobal(address)) globalIpv6.push(address);
    }
    return { ipv4: ipv4.sort(), globalIpv6: globalIpv6.sort() };
  }

  /** Number of the interface that a zone (`eth0`, `2`) means; undefined when there is none. */
  zoneIndex(zone: string): number | undefined {
    if (/^\d{1,9}$/.test(zone)) return Number(zone);
    return this.now().find(({ name, scopeid }) => name === zone && scopeid)?.scopeid;
  }

  /** Every address without zone, loopback included, as {@linkcode formatIp} writes it. */
  all(): ReadonlySet<string> {
    return new Set(this.now().map(({ address }) => withoutZone(address)));
  }
}

const SYSTEM = new InterfaceList(
  () =>
    Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
      list.map((entry) => ({ ...entry, name }))
    ),
  (error) =>
    getLogger([LOG_CATEGORY, "network"]).warn(
      "cannot list the network interfaces: peers in the local network are reached through their public addresses, and " +
        "a change of network is noticed later",
      { error },
    ),
);

/** The addresses by which peers may reach this machine; the last known ones where the system reports none. */
export function localAddresses(): LocalAddresses {
  return SYSTEM.reachable();
}

/** Every address of this machine, loopback included, as {@linkcode formatIp} writes it, without zones. */
export function ownAddresses(): ReadonlySet<string> {
  return SYSTEM.all();
}

/** Number of the interface that the zone of an address (`eth0`, `2`) means; undefined when there is none. */
export function zoneIndex(zone: string): number | undefined {
  return SYSTEM.zoneIndex(zone);
}

/** An address as {@linkcode formatIp} writes it, its zone left out. */
export function withoutZone(host: string): string {
  return formatIp(parseIp(host.split("%")[0]!));
}

/** Whether an address, as text, is valid everywhere. */
export function isGlobal(host: string): boolean {
  const ip = parseIp(host);
  return !isPrivateIp(ip) && !isLoopbackIp(ip);
}
