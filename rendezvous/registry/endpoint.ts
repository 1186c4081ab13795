/**
 * What is believed of the endpoints a node names (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import { formatEndpoint, parseEndpoint, parseIp } from "../../protocol/ip.ts";
import type { Peer } from "./context.ts";
import type { NodePlace, NodeRecord } from "./node_entry.ts";
import { MAX_LAN_ADDRS, MAX_PENDING_PLACES } from "./registry_limits.ts";

/** Longest text of an endpoint: an IPv6 address in brackets with a port. */
const MAX_ENDPOINT_CHARS = 64;
const LAST_PORT = /:(\d{1,5})$/;

/**
 * The endpoint of a node: the source of its TCP connection with the port it names. The host it names is not
 * looked at, so no node can register another one's address.
 *
 * @param peer Where the request came from.
 * @param listenAddr `host:port` as sent, or "" for a node without an endpoint.
 * @returns `ip:port`, with the TCP source port when no usable port is named, or "".
 */
export function realAddress(peer: Peer, listenAddr: string): string {
  if (listenAddr === "") return "";
  const named = Number(LAST_PORT.exec(listenAddr)?.[1] ?? 0);
  const port = named > 0 && named <= 0xffff ? named : peer.port;
  return formatEndpoint({ host: peer.ip, port });
}

/**
 * Reads a list of `ip:port`, dropping what is none: peers will send datagrams there.
 *
 * @param texts As sent.
 * @returns At most {@linkcode MAX_LAN_ADDRS} endpoints.
 */
export function endpointTexts(texts: readonly string[]): string[] {
  return texts.slice(0, MAX_LAN_ADDRS).filter(isEndpointText);
}

/**
 * Notes where a node is by its registration. Anyone who knows a key can register it without a signature, as existing
 * nodes do; so an unsigned registration moves a live node to another address only when the node confirms it, see
 * {@linkcode confirmedPlace}.
 *
 * @param node The node, in a change of the registry.
 * @param place What the registration says.
 * @param from `peer`: where it came from; `signed`: by the node's key; `wasLive`: the node was, before it.
 */
export function notePlace(
  node: NodeRecord,
  place: NodePlace,
  from: { readonly peer: Peer; readonly signed: boolean; readonly wasLive: boolean },
): void {
  const { peer, signed, wasLive } = from;
  if (!signed && wasLive && hostOf(node.realAddr) !== peer.ip) {
    const pending = node.pending ??= new Map<string, NodePlace>();
    pending.delete(peer.ip);
    pending.set(peer.ip, place);
    const [oldest] = pending.keys();
    if (oldest !== undefined && pending.size > MAX_PENDING_PLACES) pending.delete(oldest);
    return;
  }
  node.pending = undefined;
  Object.assign(node, place);
}

/**
 * A node has signed something that came from an address: an unsigned registration from there was its own.
 *
 * @param node The node.
 * @param peer Where its request came from.
 * @returns What the registration said, to be taken over; undefined when none waits.
 */
export function confirmedPlace(node: NodeRecord, peer: Peer): NodePlace | undefined {
  return node.pending?.get(peer.ip);
}

function hostOf(realAddr: string): string | undefined {
  return realAddr === "" ? undefined : parseEndpoint(realAddr).host;
}

/** Is the text an `ip:port`? */
export function isEndpointText(text: string): boolean {
  if (text.length > MAX_ENDPOINT_CHARS) return false;
  try {
    parseIp(parseEndpoint(text).host);
    return true;
  } catch {
    return false; // these parsers throw for what is none
  }
}
