/**
 * IP addresses as bytes and text, and `host:port` endpoints.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { parsePort } from "./address.ts";
import { PilotError } from "./errors.ts";

/** Twelve bytes that make an IPv6 address an IPv4-mapped one. */
const MAPPED_PREFIX_BYTES = 12;

function isMapped(ip: Uint8Array): boolean {
  return ip.length === 16 && ip[10] === 0xff && ip[11] === 0xff &&
    ip.subarray(0, 10).every((byte) => byte === 0);
}

/**
 * Reduces an IPv4-mapped IPv6 address to its four bytes.
 *
 * @param ip 4 or 16 bytes.
 * @returns 4 bytes for `::ffff:a.b.c.d`, otherwise `ip` itself.
 */
export function reduceIp(ip: Uint8Array): Uint8Array {
  return isMapped(ip) ? ip.subarray(MAPPED_PREFIX_BYTES) : ip;
}

/**
 * Formats an address; IPv6 as RFC 5952 wants it, IPv4-mapped as IPv4.
 *
 * @param ip 4 or 16 bytes.
 * @returns For example `192.0.2.1` or `2001:db8::1`.
 * @throws {PilotError} `invalid_argument` for any other length.
 */
export function formatIp(ip: Uint8Array): string {
  const bytes = reduceIp(ip);
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) {
    throw new PilotError(
      "invalid_argument",
      `An IP address has 4 or 16 bytes, not ${bytes.length}`,
    );
  }
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes[i]! << 8 | bytes[i + 1]!);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
  }
  const hex = (from: number, to?: number) =>
    groups.slice(from, to).map((group) => group.toString(16)).join(":");
  return best < 0 ? hex(0) : `${hex(0, best)}::${hex(best + bestLength)}`;
}

/** Bytes of colon-separated groups, the last of which may be a dotted IPv4 address. */
function groupBytes(text: string): number[] {
  const bytes: number[] = [];
  if (text === "") return bytes;
  for (const group of text.split(":")) {
    if (group.includes(".")) {
      bytes.push(...group.split(".").map(Number));
    } else {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

/**
 * Parses an IPv4 or IPv6 address.
 *
 * @param text The address, without brackets or zone.
 * @returns 4 bytes for IPv4 and IPv4-mapped addresses, otherwise 16.
 * @throws {PilotError} `invalid_argument` when it is not an address.
 */
export function parseIp(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split("."), Number);
  if (!isIPv6(text) || text.includes("%")) {
    throw new PilotError("invalid_argument", `Not an IP address: "${text}"`);
  }
  const [head, tail] = text.split("::");
  const ip = new Uint8Array(16);
  ip.set(groupBytes(head!));
  if (tail !== undefined) {
    const last = groupBytes(tail);
    ip.set(last, 16 - last.length);
  }
  return reduceIp(ip);
}

/**
 * Is the address for local use only: private (RFC 1918, RFC 4193), link-local, shared (RFC 6598), loopback or
 * unspecified? Such an address says nothing about where a node is reachable from elsewhere.
 *
 * @param ip 4 or 16 bytes.
 * @returns True for those; false for any other address and any other length.
 */
export function isPrivateIp(ip: Uint8Array): boolean {
  const bytes = reduceIp(ip);
  const first = bytes[0] ?? 0;
  const second = bytes[1] ?? 0;
  if (isLoopbackIp(bytes)) return true;
  if (bytes.length === 4) {
    return first === 0 || first === 10 ||
      (first === 172 && second >> 4 === 1) ||
      (first === 192 && second === 168) ||
      (first === 169 && second === 254) ||
      (first === 100 && second >> 6 === 1);
  }
  if (bytes.length !== 16) return false;
  return first >> 1 === 0x7e || (first === 0xfe && second >> 6 === 2) ||
    bytes.every((byte) => byte === 0);
}

/**
 * Is the address this machine itself (127.0.0.0/8 or ::1)?
 *
 * @param ip 4 or 16 bytes.
 * @returns True for those.
 */
export function isLoopbackIp(ip: Uint8Array): boolean {
  const bytes = reduceIp(ip);
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.length === 16 && bytes[15] === 1 &&
    bytes.subarray(0, 15).every((byte) => byte === 0);
}

/**
 * Is the address that of one host, and not unspecified (0.0.0.0/8, ::), a group's (224.0.0.0/4, ff00::/8), or
 * reserved (240.0.0.0/4, where the broadcast to everybody is)?
 *
 * @param ip 4 or 16 bytes.
 * @returns True for one host's; false for those and for any other length.
 */
export function isUnicastIp(ip: Uint8Array): boolean {
  const bytes = reduceIp(ip);
  const first = bytes[0] ?? 0;
  if (bytes.length === 4) return first > 0 && first < 224;
  return bytes.length === 16 && first !== 0xff && bytes.some((byte) => byte !== 0);
}

/** Is it an address that means "all interfaces"? */
export function isUnspecified(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
}

/** A host, by name or address text, and a port. */
export interface Endpoint {
  /** Host name or IP address, IPv6 without brackets. */
  readonly host: string;
  /** Port, 0..65535. */
  readonly port: number;
  /**
   * Address of ours at which it was heard, where a socket has all addresses of the machine: what is sent there leaves
   * from that one, as neither the peer nor a NAT before it would take it from another. Not part of the place.
   */
  readonly local?: string;
}

/** Are both there, and the same place? */
export function sameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a !== undefined && b !== undefined && a.port === b.port && a.host === b.host;
}

/**
 * Formats an endpoint, IPv6 hosts in brackets.
 *
 * @param endpoint Host text or IP bytes, and the port.
 * @returns For example `192.0.2.1:9000` or `[2001:db8::1]:9000`.
 * @throws {PilotError} `invalid_argument` when IP bytes have the wrong length.
 */
export function formatEndpoint(
  endpoint: Endpoint | { readonly ip: Uint8Array; readonly port: number },
): string {
  const host = "ip" in endpoint ? formatIp(endpoint.ip) : endpoint.host;
  return host.includes(":") ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

/** A host name as it may stand before a port: also one of the local network, and internationalized ones. */
const HOST_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,252}$/u;

/**
 * Parses `host:port` or `[v6]:port`, the one grammar of endpoints. An IPv6 address may have a zone,
 * `[fe80::1%eth0]:9000`.
 *
 * @param text The endpoint.
 * @param options `isListen`: where something listens; the host may be empty, `:9000`, and port 0 takes a free one.
 * @returns Host, without brackets, and port.
 * @throws {PilotError} `invalid_argument` when it is not an endpoint.
 */
export function parseEndpoint(
  text: string,
  options: { isListen?: boolean } = {},
): Endpoint {
  const { isListen = false } = options;
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]*)):(\d+)$/.exec(text);
  const bracketed = match?.[1];
  const host = bracketed ?? match?.[2] ?? "";
  const isHost = bracketed !== undefined
    ? isIPv6(bracketed)
    : host === ""
    ? isListen
    : isIPv4(host) || HOST_NAME.test(host);
  const port = match === null ? 0 : parsePort(match[3]!);
  if (match === null || !isHost || (port === 0 && !isListen)) {
    throw new PilotError("invalid_argument", `Not an endpoint: "${text}"`, {
      hint: "An endpoint looks like 127.0.0.1:9000 or [::1]:9000.",
    });
  }
  return { host, port };
}
