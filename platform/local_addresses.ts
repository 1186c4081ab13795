/**
 * Addresses of this machine by which peers may reach it.
 *
 * @module
 */

import { networkInterfaces } from "node:os";
import { isLoopbackIp, isPrivateIp, parseIp } from "../protocol/ip.ts";

/** This machine's addresses. */
export interface LocalAddresses {
  /** IPv4 addresses other than loopback: worth a try within the same network. */
  readonly ipv4: readonly string[];
  /** IPv6 addresses that are valid everywhere. */
  readonly globalIpv6: readonly string[];
}

/** Asks the system. */
export function localAddresses(): LocalAddresses {
  const ipv4: string[] = [];
  const globalIpv6: string[] = [];
  for (const address of Object.values(networkInterfaces()).flat()) {
    if (address === undefined || address.internal) continue;
    // A zone marks a link-local address, which means nothing elsewhere.
    if (address.family === "IPv4") ipv4.push(address.address);
    else if (!address.address.includes("%") && isGlobal(address.address)) {
      globalIpv6.push(address.address);
    }
  }
  return { ipv4: ipv4.sort(), globalIpv6: globalIpv6.sort() };
}

/** Whether an address, as text, is valid everywhere. */
export function isGlobal(host: string): boolean {
  const ip = parseIp(host);
  return !isPrivateIp(ip) && !isLoopbackIp(ip);
}
