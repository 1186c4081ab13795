/**
 * The 48-bit Pilot address: 16-bit network, 32-bit node (docs/protocol/tunnel.md §1.1).
 *
 * @module
 */

import { type Decoded, DecodeError, PilotError } from "./errors.ts";

/** A permanent virtual address. Two addresses are equal when both fields are. */
export interface Address {
  /** Network number, 0..65535; 0 is the backbone every node is on. */
  readonly network: number;
  /** Node number, 0..4294967295; 0 is never assigned. */
  readonly node: number;
}

/** An address with a 16-bit port. */
export interface SocketAddress extends Address {
  /** Port, 0..65535. */
  readonly port: number;
}

/** Bytes of an address on the wire. */
export const ADDRESS_BYTES = 6;
/** Node number that means "every member of the network". */
export const BROADCAST_NODE = 0xffffffff;
/** Highest port number. */
export const MAX_PORT = 0xffff;

const TEXT = /^(\d+):([0-9A-Fa-f]{4})\.([0-9A-Fa-f]{4})\.([0-9A-Fa-f]{4})$/;

function hex4(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, "0");
}

/**
 * Formats an address as `N:NNNN.HHHH.LLLL`: network in decimal and again in hex, then the halves of the node.
 *
 * @param address The address.
 * @returns Its text form, for example `0:0000.0000.0005`.
 */
export function formatAddress(address: Address): string {
  const { network, node } = address;
  return `${network}:${hex4(network)}.${hex4(node >>> 16)}.${hex4(node & 0xffff)}`;
}

/**
 * Parses `N:NNNN.HHHH.LLLL`.
 *
 * @param text The text form; hex digits in either case, leading zeros allowed in the decimal network.
 * @returns The address.
 * @throws {PilotError} `invalid_argument` when the text is not an address or its two networks differ.
 */
export function parseAddress(text: string): Address {
  const match = TEXT.exec(text);
  const network = Number(match?.[1]);
  if (match === null || network > 0xffff) {
    throw new PilotError("invalid_argument", `Not a Pilot address: "${text}"`, {
      hint: "An address looks like 0:0000.0000.0005.",
    });
  }
  if (parseInt(match[2]!, 16) !== network) {
    throw new PilotError(
      "invalid_argument",
      `Not a Pilot address: "${text}" (network mismatch)`,
      {
        hint: `The first hex group repeats the network: ${hex4(network)}.`,
      },
    );
  }
  return { network, node: parseInt(match[3]! + match[4]!, 16) };
}

/**
 * Formats `<address>:<port>`.
 *
 * @param socket Address and port.
 * @returns For example `0:0000.0000.0005:7`.
 */
export function formatSocketAddress(socket: SocketAddress): string {
  return `${formatAddress(socket)}:${socket.port}`;
}

/**
 * Parses `<address>:<port>`, splitting at the last colon.
 *
 * @param text For example `0:0000.0000.0005:7`.
 * @returns Address and port.
 * @throws {PilotError} `invalid_argument` when either half is wrong.
 */
export function parseSocketAddress(text: string): SocketAddress {
  const colon = text.lastIndexOf(":");
  const address = parseAddress(text.slice(0, Math.max(colon, 0)));
  return { ...address, port: parsePort(text.slice(colon + 1)) };
}

/**
 * Parses a decimal port number.
 *
 * @param text Decimal digits.
 * @returns The port, 0..65535.
 * @throws {PilotError} `invalid_argument` when it is not a port.
 */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > MAX_PORT) {
    throw new PilotError("invalid_argument", `Not a port: "${text}"`, {
      hint: "Ports are decimal numbers from 0 to 65535.",
    });
  }
  return port;
}

/**
 * Packs an address into one number below 2^48, to be used as a map key.
 *
 * @param network Network number.
 * @param node Node number.
 * @returns `network * 2^32 + node`.
 */
export function addressKey(network: number, node: number): number {
  return network * 0x100000000 + node;
}

/**
 * Reads 6 bytes at `offset`.
 *
 * @param bytes Where to read.
 * @param offset First byte.
 * @returns The address, or a {@linkcode DecodeError} when fewer than 6 bytes are there.
 */
export function decodeAddress(
  bytes: Uint8Array,
  offset: number = 0,
): Decoded<Address> {
  if (bytes.length - offset < ADDRESS_BYTES) return SHORT_ADDRESS;
  const view = new DataView(
    bytes.buffer,
    bytes.byteOffset + offset,
    ADDRESS_BYTES,
  );
  return { network: view.getUint16(0), node: view.getUint32(2) };
}

const SHORT_ADDRESS = new DecodeError("too_short", "address needs 6 bytes");

/**
 * Encodes an address.
 *
 * @param address The address.
 * @returns 6 bytes, network first.
 */
export function encodeAddress(address: Address): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, address.network);
  view.setUint32(2, address.node);
  return bytes;
}
