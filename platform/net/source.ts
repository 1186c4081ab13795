/**
 * Where traffic comes from: the address people see, and the key under which it is counted.
 *
 * @module
 */

import { formatIp, parseIp } from "../../protocol/ip.ts";

/** Bytes of an IPv6 address that belong to the network of one customer. */
const V6_PREFIX_BYTES = 8;

/** A source address. */
export interface Source {
  /** 4 or 16 bytes; IPv4-mapped addresses have 4. */
  readonly bytes: Uint8Array;
  /** Text of the address. */
  readonly ip: string;
  /** What limits count by: the IPv4 address, or the /64 an IPv6 host can choose freely from. */
  readonly key: string;
}

/**
 * Reads the host of a socket address.
 *
 * @param hostname As the runtime gives it, for example `::ffff:192.0.2.1` or `fe80::1%eth0`.
 * @returns The source.
 */
export function sourceOf(hostname: string): Source {
  const bytes = parseIp(hostname.split("%", 1)[0]!);
  const ip = formatIp(bytes);
  if (bytes.length === 4) return { bytes, ip, key: ip };
  const prefix = bytes.slice().fill(0, V6_PREFIX_BYTES);
  return { bytes, ip, key: `${formatIp(prefix)}/64` };
}
