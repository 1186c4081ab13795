/**
 * One line that describes a rendezvous: `pilot://HOST:9000?beacon=HOST:9001&fingerprint=HEX&key=KEY`.
 * HEX is the SHA-256 of the registry's certificate, KEY its public key in base64url (RFC 4648 §5) without padding. It holds
 * no secret, but its source must be trusted: it says which registry to trust.
 *
 * @module
 */

import { isIP } from "node:net";
import { decodeBase64, encodeBase64 } from "../protocol/crypto/base64.ts";
import { isUsablePublicKey } from "../protocol/crypto/verify_signature.ts";
import { PilotError, type PilotErrorOptions } from "../protocol/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../protocol/ip.ts";
import { parseFingerprint } from "./fingerprint.ts";

/** Where a rendezvous is and how it is known. */
export interface JoinTarget {
  /** Registry, `host:port`. */
  readonly registry: string;
  /** Beacon, `host:port`. */
  readonly beacon: string;
  /** SHA-256 of the registry's certificate, 64 lowercase hex digits; undefined for one without TLS. */
  readonly fingerprint: string | undefined;
  /** The registry's public key, base64; undefined for one that does not sign its answers. */
  readonly registryKey: string | undefined;
}

/** Placeholder in a URI for a host that its creator does not know. No host can have this name, and none is joined. */
export const UNKNOWN_HOST = "<HOST>";

const EXAMPLE = "pilot://HOST:9000?beacon=HOST:9001&fingerprint=HEX&key=KEY";
const QUOTE: PilotErrorOptions = { advice: { id: "quote_join_uri" } };
const PARAMETERS: readonly string[] = ["beacon", "fingerprint", "key"];
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];
/** A name in ASCII: others have a form in ASCII, too (RFC 5891). */
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$/;

/**
 * Can it be the host of a server: an IP address, or a name?
 *
 * @param host Without a port, IPv6 without brackets.
 * @returns False also for the addresses that mean "all of this machine's".
 */
export function isServerHost(host: string): boolean {
  if (isIP(host) !== 0) return !host.includes("%") && !WILDCARDS.includes(host);
  return HOST_NAME.test(host) && !/^[\d.]+$/.test(host);
}

/**
 * Checks the host of a server, as people write it.
 *
 * @param text A host name or an IP address, IPv6 with or without brackets.
 * @returns The same without brackets.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseServerHost(text: string): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (isServerHost(host)) return host;
  throw new PilotError("invalid_argument", `Not a host by which others reach a server: "${text}"`, {
    hint: "Write a name or an IP address without a port: rendezvous.example",
  });
}

/**
 * Writes the URI.
 *
 * @param target What it says; a host may be {@linkcode UNKNOWN_HOST}.
 * @returns The URI.
 */
export function formatJoinUri(target: JoinTarget): string {
  const { registry, beacon, fingerprint, registryKey } = target;
  const key = registryKey?.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return `pilot://${registry}?beacon=${beacon}` +
    (fingerprint === undefined ? "" : `&fingerprint=${fingerprint}`) +
    (key === undefined ? "" : `&key=${key}`);
}

/**
 * Reads the URI. Nothing is guessed: every part must be known, whole and there once.
 *
 * @param pasted The URI, perhaps with the space or line break that came along.
 * @returns What it says.
 * @throws {PilotError} `invalid_argument` naming the part that is wrong.
 */
export function parseJoinUri(pasted: string): JoinTarget {
  const text = pasted.trim();
  if (text.includes(UNKNOWN_HOST)) {
    throw new PilotError("invalid_argument", `The URI still says ${UNKNOWN_HOST}`, {
      hint: "Put the name or the address of the server there, in both places.",
    });
  }
  const match = /^pilot:\/\/([^/?#]+)\/?(?:\?([^#]*))?$/i.exec(text);
  if (match === null) throw wrong(`Not a pilot:// URI: "${text}"`);
  const [, registry, query = ""] = match;
  const parameters = parametersOf(query);
  const beacon = parameters.get("beacon");
  if (beacon === undefined) throw wrong("The URI names no beacon");
  const fingerprint = parameters.get("fingerprint");
  const key = parameters.get("key");
  if (fingerprint === undefined && key === undefined) {
    throw wrong(
      "The URI has neither fingerprint nor key: anybody could answer in the registry's place",
      { advice: { id: "join_unpinned" } },
    );
  }
  return {
    registry: formatEndpoint(serverOf("registry", registry!)),
    beacon: formatEndpoint(serverOf("beacon", beacon)),
    fingerprint: fingerprint === undefined ? undefined : parseFingerprint(fingerprint),
    registryKey: key === undefined ? undefined : keyOf(key),
  };
}

function parametersOf(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split("&")) {
    if (part === "") continue;
    const [, name, value] = /^([^=]*)=?(.*)$/s.exec(part)!;
    if (!PARAMETERS.includes(name!)) {
      throw wrong(`The URI has an unknown part: "${name}"`, {
        hint: `It looks like ${EXAMPLE}.`,
      });
    }
    if (parameters.has(name!)) throw wrong(`The URI says ${name} twice`);
    parameters.set(name!, unescaped(name!, value!));
  }
  return parameters;
}

/** Programs that pass text on may escape `:` and brackets. */
function unescaped(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw wrong(`The ${name} of the URI is broken: "${value}"`);
  }
}

function serverOf(what: string, text: string): Endpoint {
  let endpoint: Endpoint;
  try {
    endpoint = parseEndpoint(text);
  } catch (cause) {
    throw wrong(`The ${what} of the URI is not host:port: "${text}"`, { ...QUOTE, cause });
  }
  if (!isServerHost(endpoint.host)) {
    throw wrong(`The ${what} of the URI has an invalid host: "${endpoint.host}"`);
  }
  return endpoint;
}

function keyOf(text: string): string {
  const bytes = /^[A-Za-z0-9_-]{43}$/.test(text)
    ? decodeBase64(`${text.replaceAll("-", "+").replaceAll("_", "/")}=`)
    : undefined;
  if (bytes !== undefined && isUsablePublicKey(bytes)) return encodeBase64(bytes);
  throw wrong(`The key of the URI is not a public key in base64url: "${text}"`);
}

function wrong(message: string, options: PilotErrorOptions = QUOTE): PilotError {
  return new PilotError("invalid_argument", message, options);
}
