/**
 * Opening the server's sockets, with errors that name the address.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../protocol/ip.ts";

/** All interfaces, IPv4 included. */
export const ANY_V6 = "::";
/** All interfaces of a machine without IPv6. */
export const ANY_V4 = "0.0.0.0";

/**
 * Opens a socket on a listen address.
 *
 * @param role What listens there, for messages: "registry", "beacon" or "HTTP server".
 * @param text `host:port`, `[v6]:port`, or `:port` for all interfaces; port 0 picks a free one.
 * @param open Opens it.
 * @returns What `open` gave.
 * @throws {PilotError} `invalid_argument` for a bad address, `already_exists` when the port is taken, `io_error`
 * for anything else.
 */
export function listenOn<S>(
  role: string,
  text: string,
  open: (hostname: string, port: number) => S,
): S {
  const { host, port } = parseEndpoint(text, { isListen: true });
  try {
    if (host !== "") return open(host, port);
    try {
      return open(ANY_V6, port);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) throw error;
      return open(ANY_V4, port); // no IPv6 on this machine
    }
  } catch (error) {
    throw listenError(role, { host, port }, error);
  }
}

/**
 * Listens for TCP connections.
 *
 * @param role As {@linkcode listenOn}.
 * @param text As {@linkcode listenOn}.
 * @returns The listener.
 * @throws {PilotError} As {@linkcode listenOn}.
 */
export function listenTcp(role: string, text: string): Deno.TcpListener {
  return listenOn(
    role,
    text,
    (hostname, port) => Deno.listen({ transport: "tcp", hostname, port }),
  );
}

/** The setting of a role's address. */
function settingOf(role: string): string {
  return role === "HTTP server" ? "http" : `${role}Addr`;
}

/** What went wrong with a socket, in the words of the one who chose its address. */
export function listenError(role: string, at: Endpoint, cause: unknown): PilotError {
  const where = formatEndpoint(at);
  const code = cause instanceof PilotError ? cause.code : undefined;
  if (cause instanceof Deno.errors.AddrInUse || code === "already_exists") {
    return new PilotError(
      "already_exists",
      `Port ${at.port} is already in use, the ${role} cannot listen on ${where}`,
      { cause, advice: { id: "free_address", setting: settingOf(role) } },
    );
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) {
    return new PilotError(
      "invalid_argument",
      `${where} is not an address of this machine, the ${role} cannot listen there`,
      { cause },
    );
  }
  return PilotError.from(cause, "io_error", `The ${role} cannot listen on ${where}`);
}

/**
 * The address a socket is bound to.
 *
 * @param addr As the runtime gives it.
 * @returns `host:port`.
 */
export function boundAddress(addr: Deno.Addr): string {
  if (addr.transport !== "tcp" && addr.transport !== "udp") {
    throw new PilotError("internal", `Not an IP socket: ${addr.transport}`);
  }
  return formatEndpoint({ host: addr.hostname, port: addr.port });
}
