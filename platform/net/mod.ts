/**
 * Sockets: the daemon's UDP socket in its forms, and accepting connections.
 *
 * @module
 */

export { Acceptor, type AcceptorOptions } from "./acceptor.ts";
export { openUdpSocket, type UdpOptions } from "./open_udp_socket.ts";
export { MAX_QUEUED_SENDS, PortableUdpSocket } from "./portable.ts";
export { type DatagramHandler, SEND_BUFFER_BYTES, type UdpSocket, type UdpStats } from "./udp.ts";
