/**
 * Opens the daemon's UDP socket: the fastest form that works here.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { PilotError } from "../../protocol/errors.ts";
import { getLogger, LOG_CATEGORY } from "../log.ts";
import type { UdpKind } from "../settings/setting_table.ts";
import { loadLibc } from "./linux/libc.ts";
import { linuxSocketProblem } from "./linux/self_test.ts";
import { LinuxUdpSocket } from "./linux/batch_socket.ts";
import { PortableUdpSocket } from "./portable.ts";
import { bindError, type UdpSocket } from "./udp.ts";

/** Options of {@linkcode openUdpSocket}. */
export interface UdpOptions {
  /** IP literal or name; `0.0.0.0` for all IPv4 interfaces, `::` for all of both kinds, empty for these if there are. */
  readonly host: string;
  /** UDP port, 0 for a free one. */
  readonly port: number;
  /** Default "auto": the batch socket of Linux where it works, otherwise the portable one and a line in the log. */
  readonly kind?: UdpKind | undefined;
}

/**
 * Opens a socket.
 *
 * @param options Where to bind it.
 * @returns The socket, not receiving yet.
 * @throws {PilotError} `already_exists` when the port is taken, `unavailable` when the kind that was asked for
 * does not work here, `io_error`.
 */
export async function openUdpSocket(options: UdpOptions): Promise<UdpSocket> {
  const { port, kind = "auto" } = options;
  const host = await literal(options.host, port);
  if (kind === "portable") return openPortable(host, port);
  const problem = linuxSocketProblem();
  if (problem === "") return onEach(host, (each) => openLinux(each, port));
  if (kind === "linux") {
    throw new PilotError("unavailable", `The Linux batch socket does not work here: ${problem}`, {
      advice: { id: "leave_out", setting: "udp" },
    });
  }
  getLogger([LOG_CATEGORY, "net"]).info("portable UDP socket in use", { reason: problem });
  return openPortable(host, port);
}

/** Without a host: all interfaces of both kinds, or of IPv4 where there is no IPv6. */
function onEach(host: string, open: (host: string) => UdpSocket): UdpSocket {
  if (host !== "") return open(host);
  try {
    return open("::");
  } catch (error) {
    if (error instanceof PilotError && error.code === "already_exists") throw error;
    return open("0.0.0.0");
  }
}

function openPortable(host: string, port: number): UdpSocket {
  // Sockets of IPv6 take no IPv4 on Windows unless an option is set, which the runtime cannot set.
  const all = host === "" && Deno.build.os === "windows" ? "0.0.0.0" : host;
  return onEach(all, (each) => PortableUdpSocket.bind(each, port));
}

function openLinux(host: string, port: number): UdpSocket {
  const libc = loadLibc();
  try {
    return LinuxUdpSocket.bind(libc, host, port);
  } catch (error) {
    libc.unload();
    throw error;
  }
}

async function literal(host: string, port: number): Promise<string> {
  if (host === "" || isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw bindError(host, port, { taken: false, reason, cause: error });
  }
}
