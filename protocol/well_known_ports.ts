/**
 * Well-known ports of the overlay (docs/protocol/tunnel.md §1.3).
 *
 * @module
 */

/** Control packets (ping, keepalive); not a stream. */
export const PORT_PING = 0;
/** Echo stream. */
export const PORT_ECHO = 7;
/** Nameserver. */
export const PORT_NAMESERVER = 53;
/** End-to-end secure channel. */
export const PORT_SECURE = 443;
/** Trust handshake. */
export const PORT_HANDSHAKE = 444;
/** Text stream between two people or agents. */
export const PORT_STDIO = 1000;
/** Data exchange: messages and files. */
export const PORT_DATA_EXCHANGE = 1001;
/** Event stream: publish and subscribe. */
export const PORT_EVENT_STREAM = 1002;
/** Task submission. */
export const PORT_TASKS = 1003;

/** First port handed out to outgoing connections. */
export const EPHEMERAL_FIRST = 49152;
/** Last port handed out to outgoing connections. */
export const EPHEMERAL_LAST = 65535;
