/**
 * What others join this rendezvous by.
 *
 * @module
 */

import {
  formatJoinUri,
  isServerHost,
  parseServerHost,
  UNKNOWN_HOST,
} from "../platform/join_uri.ts";
import { localAddresses } from "../platform/local_addresses.ts";
import { formatEndpoint, parseEndpoint } from "../protocol/ip.ts";
import { ANY_V4, ANY_V6 } from "../platform/net/listen.ts";

/** How to join, as ready line and `rendezvous status` show it. */
export interface JoinFacts {
  /** The URI for `pilotctl join`; with {@linkcode UNKNOWN_HOST} where the host is not known. */
  readonly uri: string;
  /** What to do before it can be used; undefined when nothing. */
  readonly hint: string | undefined;
}

/** What {@linkcode joinFacts} works from. */
export interface JoinOptions {
  /** Where the registry listens, `host:port`. */
  readonly registry: string;
  /** Where the beacon listens, `host:port`. */
  readonly beacon: string;
  /** Host by which others reach this machine; undefined finds it out. */
  readonly advertise: string | undefined;
  /** See `JoinTarget`. */
  readonly fingerprint: string | undefined;
  /** See `JoinTarget`. */
  readonly registryKey: string;
  /** This machine's addresses other than loopback; asked only when they are needed. */
  readonly addresses?: () => readonly string[];
}

const HINT =
  `Replace ${UNKNOWN_HOST} by the name or the address by which others reach this machine, ` +
  "or tell the server to advertise that host.";

/**
 * Puts the URI together. Hosts are the advertised one, else the one that is listened on, else this machine's only address.
 *
 * @param options Addresses and pins.
 * @returns The URI, and what is missing of it.
 * @throws {PilotError} `invalid_argument` for an advertised host that is none.
 */
export function joinFacts(options: JoinOptions): JoinFacts {
  const { registry, beacon, fingerprint, registryKey } = options;
  const advertised = options.advertise === undefined
    ? undefined
    : parseServerHost(options.advertise);
  const own = (listens: string) => {
    const { host, port } = parseEndpoint(listens);
    const isAny = host === ANY_V4 || host === ANY_V6;
    const known = advertised ?? (isAny ? onlyAddress(options.addresses ?? ownAddresses) : host);
    // A link-local address with its zone means nothing elsewhere.
    const isUsable = known !== undefined && isServerHost(known);
    return formatEndpoint({ host: isUsable ? known : UNKNOWN_HOST, port });
  };
  const uri = formatJoinUri({
    registry: own(registry),
    beacon: own(beacon),
    fingerprint,
    registryKey,
  });
  return { uri, hint: uri.includes(UNKNOWN_HOST) ? HINT : undefined };
}

/** Of several, only a person knows which one others reach. */
function onlyAddress(addresses: () => readonly string[]): string | undefined {
  const [only, ...others] = addresses();
  return others.length === 0 ? only : undefined;
}

/** IPv6 counts where there is no IPv4: machines have several such addresses, of which some change. */
function ownAddresses(): readonly string[] {
  const { ipv4, globalIpv6 } = localAddresses();
  return ipv4.length > 0 ? ipv4 : globalIpv6;
}
