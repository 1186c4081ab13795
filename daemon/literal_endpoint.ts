/**
 * The address behind a server's name, of the kind that our socket and this machine can use.
 *
 * @module
 */

import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type LocalAddresses, localAddresses } from "../platform/local_addresses.ts";
import { type Endpoint, isLoopbackIp, parseIp } from "../protocol/ip.ts";

/** What {@linkcode literalEndpoint} goes by. */
export interface LiteralOptions {
  /** The socket that will send there takes both kinds of addresses, not IPv4 alone. */
  readonly isDual: boolean;
  /** Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
  /** Default: the system's. */
  readonly addresses?: () => LocalAddresses;
}

/**
 * An endpoint whose host is an IP literal, as datagrams and their senders are compared by it.
 *
 * IPv4 where there is a choice, as most peers are known by it, and the server tells us what they see of us; but not on a
 * machine that has none.
 *
 * @param endpoint Name or literal, and port.
 * @param options What the socket and the machine can do.
 * @returns The endpoint to send to.
 * @throws {Error} When the name has no address, or none that the socket can reach.
 */
export async function literalEndpoint(
  endpoint: Endpoint,
  options: LiteralOptions,
): Promise<Endpoint> {
  const { host, port } = endpoint;
  if (isIP(host) !== 0) return endpoint;
  const { isDual, resolve = (name) => lookup(name, { all: true }) } = options;
  const found = await resolve(host);
  const v4 = found.find(({ family }) => family === 4)?.address;
  const v6 = isDual ? found.find(({ family }) => family === 6)?.address : undefined;
  if (v4 === undefined && v6 === undefined) throw new Error(`${host} has no IPv4 address`);
  const addresses = (options.addresses ?? localAddresses)();
  const isV4Usable = v4 !== undefined &&
    (v6 === undefined || isLoopbackIp(parseIp(v4)) || addresses.ipv4.length > 0);
  return { host: isV4Usable ? v4 : v6!, port };
}
