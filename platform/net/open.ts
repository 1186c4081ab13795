/**
 * Opens the daemon's UDP socket: the fastest form that works here.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { PilotError } from "../../protocol/errors.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import type { UdpKind } from "../../platform/settings.ts";
import { loadLibc } from "./linux/libc.ts";
import { linuxSocketProblem } from "./linux/self_test.ts";
import { LinuxUdpSocket } from "./linux/socket.ts";
import { PortableUdpSocket } from "./portable.ts";
import { bindError, type UdpSocket } from "./udp.ts";

/** What {@linkcode openUdpSocket} is told. */
export interface UdpOptions {
  /** IP literal or name; empty or `0.0.0.0` for all IPv4 interfaces, `::` for all of both kinds. */
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
  if (kind === "portable") return PortableUdpSocket.bind(host, port);
  const problem = linuxSocketProblem();
  if (problem === "") return openLinux(host, port);
  if (kind === "linux") {
    throw new PilotError("unavailable", `The Linux batch socket does not work here: ${problem}`, {
      hint: "Leave --udp out to have the portable socket where nothing faster works.",
    });
  }
  getLogger([LOG_CATEGORY, "net"]).info("portable UDP socket in use", { reason: problem });
  return PortableUdpSocket.bind(host, port);
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
  if (host === "") return "0.0.0.0";
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw bindError(host, port, { taken: false, reason, cause: error });
  }
}
