/**
 * The beacon's socket: one of the UDP sockets that daemons use, too, on an address as servers are given it.
 *
 * @module
 */

import { openUdpSocket } from "../../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";
import type { UdpKind } from "../../platform/settings/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { ANY_V4, ANY_V6, listenError } from "../../platform/net/listen.ts";

/** What a beacon needs of a UDP socket; see `UdpSocket`. */
export type BeaconSocket = Pick<
  UdpSocket,
  "kind" | "local" | "acquire" | "send" | "start" | "close"
>;

/**
 * Opens the beacon's socket.
 *
 * @param addr `host:port`, `[v6]:port`, or `:port` for all interfaces, IPv4 and IPv6; port 0 picks a free one.
 * @param kind Implementation of the socket; default the fastest that works here.
 * @returns The bound socket, not receiving yet.
 * @throws {PilotError} `invalid_argument` for a bad address, `already_exists` when the port is taken, `unavailable`
 * for a form that does not work here, `io_error`.
 */
export async function openBeaconSocket(addr: string, kind?: UdpKind): Promise<BeaconSocket> {
  const { host, port } = parseEndpoint(addr, { isListen: true });
  try {
    if (host !== "") return await openUdpSocket({ host, port, kind });
    try {
      return await openUdpSocket({ host: ANY_V6, port, kind });
    } catch (error) {
      if (!(error instanceof PilotError) || error.code !== "io_error") throw error;
      return await openUdpSocket({ host: ANY_V4, port, kind }); // no IPv6 on this machine
    }
  } catch (error) {
    if (error instanceof PilotError && error.code === "unavailable") throw error;
    throw listenError("beacon", { host, port }, error);
  }
}
