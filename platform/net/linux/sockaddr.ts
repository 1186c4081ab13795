/**
 * Socket addresses of the kernel (`sockaddr_in`, `sockaddr_in6`) and the endpoints of the daemon.
 *
 * The family is in host byte order (little-endian on both supported processors), port and address in network
 * order, as everywhere.
 *
 * @module
 */

import { isIP } from "node:net";
import { type Endpoint, formatIp, isUnicastIp, parseIp } from "../../../protocol/ip.ts";
import { zoneIndex } from "../../local_addresses.ts";
import {
  AF_INET,
  AF_INET6,
  CONTROL_HEADER_BYTES,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
} from "./libc.ts";

/** Bytes of the longer of the two forms. */
export const SOCKADDR_BYTES = 28;
const V4_BYTES = 16;
const V6_IP_OFFSET = 8;
const SCOPE_OFFSET = 24;
/** `struct in_pktinfo`: interface, source, destination of the header. */
const IN_PKTINFO_BYTES = 12;
/** `struct in6_pktinfo`: address, interface. */
const IN6_PKTINFO_BYTES = 20;
/** The largest datagram is below it: no limit. */
const ANY_SIZE = 0x10000;

/** A destination as the kernel wants it. */
export interface SocketAddress {
  /** The struct, {@linkcode SOCKADDR_BYTES} long. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of it that count. */
  readonly length: number;
  /** Largest segment that GSO may be used for on this path; lowered when the kernel refuses. */
  gsoLimit: number;
  /** Control message that names the address of ours which datagrams leave from; undefined for the kernel's choice. */
  source: Uint32Array<ArrayBuffer> | undefined;
}

/**
 * Encodes an address.
 *
 * @param endpoint Host must be an IP literal.
 * @param isV6Socket On such a socket IPv4 takes the mapped form.
 * @returns Undefined when the host is not an IP literal, is IPv6 and the socket is not, or has a zone that is no
 * interface here.
 */
export function encodeSockaddr(endpoint: Endpoint, isV6Socket: boolean): SocketAddress | undefined {
  const [host = "", zone] = endpoint.host.split("%");
  if (isIP(host) === 0) return undefined;
  const ip = parseIp(host);
  const scope = zone === undefined ? 0 : zoneIndex(zone);
  if (scope === undefined) return undefined;
  const bytes = new Uint8Array(SOCKADDR_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(2, endpoint.port);
  if (!isV6Socket) {
    if (ip.length !== 4) return undefined;
    view.setUint16(0, AF_INET, true);
    bytes.set(ip, 4);
    return { bytes, length: V4_BYTES, gsoLimit: ANY_SIZE, source: sourceControl(endpoint, false) };
  }
  view.setUint16(0, AF_INET6, true);
  if (ip.length === 4) {
    view.setUint16(V6_IP_OFFSET + 10, 0xffff);
    bytes.set(ip, V6_IP_OFFSET + 12);
  } else {
    bytes.set(ip, V6_IP_OFFSET);
    view.setUint32(SCOPE_OFFSET, scope, true);
  }
  const source = sourceControl(endpoint, true);
  return { bytes, length: SOCKADDR_BYTES, gsoLimit: ANY_SIZE, source };
}

/** The control message for an endpoint's `local`; undefined when it has none, or none of its own kind. */
function sourceControl(
  { host, local }: Endpoint,
  isV6Socket: boolean,
): Uint32Array<ArrayBuffer> | undefined {
  if (local === undefined || local.includes(":") !== host.includes(":")) return undefined;
  const ip = parseIp(local);
  const info = new Uint8Array(isV6Socket ? IN6_PKTINFO_BYTES : IN_PKTINFO_BYTES);
  if (!isV6Socket) {
    // Interface (any), source, and a field that only counts when received.
    info.set(ip, 4);
  } else if (ip.length === 4) {
    info.set([0xff, 0xff], 10);
    info.set(ip, 12);
  } else info.set(ip);
  const words = new Uint32Array(Math.ceil((CONTROL_HEADER_BYTES + info.length) / 8) * 2);
  words[0] = CONTROL_HEADER_BYTES + info.length;
  words[2] = isV6Socket ? IPPROTO_IPV6 : IPPROTO_IP;
  words[3] = isV6Socket ? IPV6_PKTINFO : IP_PKTINFO;
  new Uint8Array(words.buffer).set(info, CONTROL_HEADER_BYTES);
  return words;
}

/** Decodes what the kernel has written; IPv4-mapped addresses are reduced. */
export function decodeSockaddr(bytes: Uint8Array): Endpoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isV6 = view.getUint16(0, true) === AF_INET6;
  const ip = isV6 ? bytes.subarray(V6_IP_OFFSET, V6_IP_OFFSET + 16) : bytes.subarray(4, 8);
  return { host: formatIp(ip), port: view.getUint16(2) };
}

/** Sources remembered; a power of two. Beyond it, or when two fall on one place, an endpoint is parsed again. */
export const SOURCE_CACHE_SIZE = 1024;
const SOCKADDR_WORDS = SOCKADDR_BYTES / 4;
/** Words of an address of ours, the longer kind. */
const LOCAL_WORDS = 4;
const ENTRY_WORDS = SOCKADDR_WORDS + LOCAL_WORDS;
/** Where there is no address of ours to remember. */
const NO_LOCAL = new Uint32Array(LOCAL_WORDS);

/**
 * Endpoints of sources, so that a datagram from a known one costs neither a string nor an object. One source
 * per place, the newest wins: the size is fixed whatever strangers send.
 */
export class AddressBook {
  readonly #isV6: boolean;
  readonly #words = new Uint32Array(SOURCE_CACHE_SIZE * ENTRY_WORDS);
  readonly #endpoints: (Endpoint | undefined)[] = new Array(SOURCE_CACHE_SIZE).fill(undefined);
  readonly #addresses = new WeakMap<Endpoint, SocketAddress | "none">();
  #lastTo: Endpoint | undefined;
  #lastAddress: SocketAddress | undefined;

  constructor(isV6: boolean) {
    this.#isV6 = isV6;
  }

  /**
   * The endpoint whose struct begins at word `at`, heard at the address of ours that begins at word `localAt` of
   * `controls`; 0 when that is not known.
   */
  source(
    words: Uint32Array,
    at: number,
    controls: Uint32Array = NO_LOCAL,
    localAt: number = 0,
  ): Endpoint {
    // An IPv4 struct is followed by zeros, so both kinds compare alike. Word 1 of the longer one is the flow
    // label, which is not part of the place.
    const isV6 = (words[at]! & 0xffff) === AF_INET6;
    const flow = isV6 ? 0 : words[at + 1]!;
    const local = localAt === 0 ? NO_LOCAL : controls;
    const localWords = localAt === 0 ? 0 : isV6 ? LOCAL_WORDS : 1;
    let hash = Math.imul(words[at]! ^ flow, 0x9e3779b1);
    if (isV6) {
      for (let i = 2; i < SOCKADDR_WORDS; i++) hash = Math.imul(hash ^ words[at + i]!, 0x85ebca6b);
    }
    for (let i = 0; i < localWords; i++) {
      hash = Math.imul(hash ^ local[localAt + i]!, 0xc2b2ae35);
    }
    hash ^= hash >>> 15;
    const place = hash & (SOURCE_CACHE_SIZE - 1);
    const kept = this.#words;
    const base = place * ENTRY_WORDS;
    const endpoint = this.#endpoints[place];
    if (endpoint !== undefined && kept[base] === words[at] && kept[base + 1] === flow) {
      let i = 2;
      if (isV6) { while (i < SOCKADDR_WORDS && kept[base + i] === words[at + i]) i++; }
      let j = 0;
      while (j < localWords && kept[base + SOCKADDR_WORDS + j] === local[localAt + j]) j++;
      if ((!isV6 || i === SOCKADDR_WORDS) && j === localWords) return endpoint;
    }
    kept[base] = words[at]!;
    kept[base + 1] = flow;
    for (let i = 2; i < SOCKADDR_WORDS; i++) kept[base + i] = words[at + i]!;
    for (let i = 0; i < LOCAL_WORDS; i++) {
      kept[base + SOCKADDR_WORDS + i] = i < localWords ? local[localAt + i]! : 0;
    }
    return this.#endpoints[place] = this.#learn(words, at, localIp(local, localAt, localWords));
  }

  /** The address of ours that an endpoint is remembered with is refused: datagrams from now on give it again. */
  forgetSources(): void {
    this.#endpoints.fill(undefined);
  }

  /** The struct for a destination; undefined when this socket cannot reach it. */
  destination(to: Endpoint): SocketAddress | undefined {
    if (to === this.#lastTo) return this.#lastAddress;
    let found = this.#addresses.get(to);
    if (found === undefined) {
      found = encodeSockaddr(to, this.#isV6) ?? "none";
      // The interface of a zone may come later.
      if (found === "none" && to.host.includes("%")) return undefined;
      this.#addresses.set(to, found);
    }
    this.#lastTo = to;
    return this.#lastAddress = found === "none" ? undefined : found;
  }

  #learn(words: Uint32Array, at: number, local: string | undefined): Endpoint {
    const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, SOCKADDR_BYTES).slice();
    const place = decodeSockaddr(bytes);
    const endpoint = local === undefined ? place : { ...place, local };
    // An answer to a link-local source needs the interface, which text does not carry.
    if (this.#isV6 && new DataView(bytes.buffer).getUint32(SCOPE_OFFSET, true) !== 0) {
      bytes.fill(0, 4, V6_IP_OFFSET);
      this.#addresses.set(endpoint, {
        ...{ bytes, length: SOCKADDR_BYTES, gsoLimit: ANY_SIZE },
        source: sourceControl(endpoint, true),
      });
    }
    return endpoint;
  }
}

/** Text of an address of ours; undefined for none, and for a group's, from which nothing can leave. */
function localIp(words: Uint32Array, at: number, count: number): string | undefined {
  if (count === 0) return undefined;
  const ip = new Uint8Array(words.buffer, words.byteOffset + at * 4, count * 4);
  return isUnicastIp(ip) ? formatIp(ip) : undefined;
}
