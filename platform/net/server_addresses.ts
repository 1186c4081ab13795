/**
 * The addresses behind a server's name, as UDP sockets can use them.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { isIP, isIPv6 } from "node:net";
import { type Endpoint, formatIp, parseIp } from "../../protocol/ip.ts";

/** Addresses of one server that are used: its DNS decides how many there are. */
export const MAX_SERVER_ADDRESSES = 8;

/** Finds the addresses of a name. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string }[]>;

/** How {@linkcode serverAddresses} looks a name up. */
export interface AddressOptions {
  /** The socket takes both kinds of addresses, not IPv4 alone. */
  readonly isDual: boolean;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve | undefined;
}

/**
 * Resolves a server's name to all that a UDP socket can send to.
 *
 * @param endpoint Name or literal, and port.
 * @param options What the socket supports, and the resolver.
 * @returns Literal endpoints, at least one and at most {@linkcode MAX_SERVER_ADDRESSES}, in the order of
 * {@linkcode preferred}.
 * @throws {Error} When the name has no address, or none that the socket can reach.
 */
export async function serverAddresses(
  { host, port }: Endpoint,
  { isDual, resolve = (name) => lookup(name, { all: true }) }: AddressOptions,
): Promise<readonly Endpoint[]> {
  if (isIP(host) !== 0) return [{ host: canonicalHost(host), port }];
  const found = await resolve(host);
  const usable = preferred(found.map(({ address }) => canonicalHost(address)), isDual);
  if (usable.length === 0) throw new Error(`${host} has no ${isDual ? "" : "IPv4 "}address`);
  return usable.map((literal) => ({ host: literal, port }));
}

/**
 * Puts addresses into the order in which they are tried: IPv4 first, as most peers are known by it and the server
 * tells us what they see of us, though at least one of each kind; doubles are left out.
 *
 * @param hosts Literals.
 * @param isDual IPv6 can be used.
 * @returns At most {@linkcode MAX_SERVER_ADDRESSES} of them.
 */
export function preferred(hosts: readonly string[], isDual: boolean): readonly string[] {
  const v4 = [...new Set(hosts.filter((host) => !isIPv6(host)))];
  const v6 = isDual ? [...new Set(hosts.filter((host) => isIPv6(host)))] : [];
  const v4Count = Math.max(MAX_SERVER_ADDRESSES / 2, MAX_SERVER_ADDRESSES - v6.length);
  const first = v4.slice(0, v4Count);
  return [...first, ...v6.slice(0, MAX_SERVER_ADDRESSES - first.length)];
}

/** A literal in the form of which there is one only; a zone is kept. */
export function canonicalHost(host: string): string {
  const [ip = "", ...zone] = host.split("%");
  return [formatIp(parseIp(ip)), ...zone].join("%");
}
