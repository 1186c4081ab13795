/**
 * Where a request over HTTP comes from, and for whom: what is only for this machine must reach neither an outsider
 * behind a proxy nor a web page that has made its name point here.
 *
 * @module
 */

import type { IncomingHttpHeaders } from "node:http";
import { isLoopbackIp, parseIp } from "../../protocol/ip.ts";
import { sourceOf } from "../net/source.ts";

/** Headers by which proxies say whose request they pass on. */
const CLIENT_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip"] as const;
/** Any header by which a proxy shows that there is one. */
const PROXY_HEADER =
  /^(?:forwarded|via|x-real-ip|x-forwarded-.*|x-client-ip|.*-(?:connecting|client)-ip)$/;

/**
 * Is a request meant for this server? A browser sends the name that its page has used, so a page cannot read answers
 * by making its own name lead here (DNS rebinding).
 *
 * @param rawHeaders Names and values in turn. Several Host headers must all be allowed; none, as in HTTP/1.0, is no
 * browser's.
 * @param names Names of this server, without port, in any case.
 * @returns True for IP addresses, `localhost` and those names.
 */
export function isHostAllowed(
  rawHeaders: readonly string[],
  names: readonly string[],
): boolean {
  const hosts = rawHeaders.filter((_, i) =>
    i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === "host"
  );
  return hosts.every((host) => {
    const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.trim());
    const name = (match?.[1] ?? match?.[2] ?? "").toLowerCase();
    if (name === "localhost" || names.some((own) => own.toLowerCase() === name)) return true;
    return isIp(name);
  });
}

/**
 * Does a request come from this machine?
 *
 * @param hostname Source address of the connection.
 * @param headers Of the request.
 * @param isBehindProxy A proxy on this machine names its clients: what it says is trusted. Without one a request that
 * has passed any proxy is not from here.
 * @returns True for loopback, and behind the proxy only if every address it names is loopback.
 */
export function isFromHere(
  hostname: string,
  headers: IncomingHttpHeaders,
  isBehindProxy: boolean,
): boolean {
  if (!isLoopbackIp(sourceOf(hostname).bytes)) return false;
  if (!Object.keys(headers).some((name) => PROXY_HEADER.test(name))) return true;
  if (!isBehindProxy) return false;
  const clients = CLIENT_HEADERS.filter((name) => headers[name] !== undefined)
    .flatMap((name) => clientsIn(name, String(headers[name])));
  return clients.length > 0 && clients.every(isLoopback);
}

/** Clients named by one header; what names no address stays as it is and is nobody's. */
function clientsIn(name: string, value: string): string[] {
  const parts = value.split(",").map((part) => part.trim());
  if (name !== "forwarded") return parts;
  // RFC 7239: `for=192.0.2.1;proto=https, for="[2001:db8::1]:4711"`
  return parts.map((part) => {
    const node = /(?:^|;)\s*for="?([^";]*)/i.exec(part)?.[1] ?? "";
    return /^\[([^\]]*)\]/.exec(node)?.[1] ?? /^([0-9.]+)(?::\d+)?$/.exec(node)?.[1] ?? node;
  });
}

function isIp(text: string): boolean {
  try {
    parseIp(text);
    return true;
  } catch {
    return false; // a name, or nothing
  }
}

function isLoopback(text: string): boolean {
  return isIp(text) && isLoopbackIp(parseIp(text));
}
