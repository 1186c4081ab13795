/**
 * Ports for programs that must be given theirs.
 *
 * @module
 */

/** A UDP port that nobody uses at the moment on loopback; in a fresh namespace every port is free. */
export function freeUdpPort(): number {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const { port } = socket.addr as Deno.NetAddr;
  socket.close();
  return port;
}
