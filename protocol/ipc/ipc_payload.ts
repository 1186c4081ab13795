/**
 * Payloads of the common IPC commands (docs/protocol/local-socket.md §2). `encodeX` gives the payload for
 * `encodeIpcFrame`; the messages of the decode errors are the texts of §3.
 *
 * @module
 */

import { type Address, ADDRESS_BYTES, encodeAddress } from "../address.ts";
import { concatBytes, decodeText, viewOf } from "../bytes.ts";
import { encodeText } from "../bytes.ts";
import { type Decoded, DecodeError } from "../errors.ts";
import { u16, u32 } from "./integers.ts";

const short = (message: string) => new DecodeError("too_short", message);
const NO_PORT = short("bind: missing port");
const NO_TARGET = short("dial: missing address/port");
const NO_CONN = short("send: missing conn_id");
const NO_CLOSE_CONN = short("close: missing conn_id");
const NO_SENDTO = short("sendto: missing address/port");
const NO_ACCEPT = short("accept: too short");
const NO_RECV_FROM = short("recvfrom: too short");
const NO_ERROR = short("error: missing code");
const NO_BROADCAST = short("broadcast: missing network_id, port or token");

const ERROR_CODE = 1;
/** Address and both ports. */
const RECV_FROM_HEADER_BYTES = ADDRESS_BYTES + 4;

function addressAt(view: DataView, offset: number): Address {
  return { network: view.getUint16(offset), node: view.getUint32(offset + 2) };
}

// By hand where it is done for every datagram: a view, or an array for each field, costs more than the copy of its data.
function writeU16(out: Uint8Array, offset: number, value: number): void {
  out[offset] = value >>> 8;
  out[offset + 1] = value;
}

function writeAddress(out: Uint8Array, offset: number, { network, node }: Address): void {
  writeU16(out, offset, network);
  writeU16(out, offset + 2, node >>> 16);
  writeU16(out, offset + 4, node);
}

/**
 * Encodes the port of Bind, BindOk, Unbind and UnbindOk.
 *
 * @param port The port.
 * @returns 2 bytes.
 */
export function encodePort(port: number): Uint8Array {
  return u16(port);
}

/**
 * Decodes the port of Bind, BindOk, Unbind and UnbindOk.
 *
 * @param payload At least 2 bytes.
 * @returns The port, or a {@linkcode DecodeError}.
 */
export function decodePort(payload: Uint8Array): Decoded<number> {
  return payload.length < 2 ? NO_PORT : viewOf(payload).getUint16(0);
}

/** Payload of Dial. */
export interface IpcTarget {
  /** The node to dial. */
  readonly address: Address;
  /** Its port. */
  readonly port: number;
}

/**
 * Encodes Dial.
 *
 * @param target Address and port.
 * @returns 8 bytes.
 */
export function encodeDial(target: IpcTarget): Uint8Array {
  const out = new Uint8Array(ADDRESS_BYTES + 2);
  writeAddress(out, 0, target.address);
  writeU16(out, ADDRESS_BYTES, target.port);
  return out;
}

/**
 * Decodes Dial.
 *
 * @param payload At least 8 bytes.
 * @returns Address and port, or a {@linkcode DecodeError}.
 */
export function decodeDial(payload: Uint8Array): Decoded<IpcTarget> {
  if (payload.length < ADDRESS_BYTES + 2) return NO_TARGET;
  const view = viewOf(payload);
  return { address: addressAt(view, 0), port: view.getUint16(ADDRESS_BYTES) };
}

/**
 * Encodes the connection id of DialOk, Close and CloseOk; also the first part of Send and Recv.
 *
 * @param conn The id.
 * @returns 4 bytes.
 */
export function encodeConn(conn: number): Uint8Array {
  return u32(conn);
}

/**
 * Decodes the connection id of DialOk, Close and CloseOk.
 *
 * @param payload At least 4 bytes.
 * @returns The id, or a {@linkcode DecodeError}.
 */
export function decodeConn(payload: Uint8Array): Decoded<number> {
  return payload.length < 4 ? NO_CLOSE_CONN : viewOf(payload).getUint32(0);
}

/** Payload of the Accept push. */
export interface IpcAccept {
  /** Our port. */
  readonly port: number;
  /** Id of the new connection. */
  readonly conn: number;
  /** The peer. */
  readonly remote: Address;
  /** The peer's port. */
  readonly remotePort: number;
}

/**
 * Encodes Accept.
 *
 * @param accept The new connection.
 * @returns 14 bytes.
 */
export function encodeAccept(accept: IpcAccept): Uint8Array {
  return concatBytes(
    u16(accept.port),
    encodeConn(accept.conn),
    encodeAddress(accept.remote),
    u16(accept.remotePort),
  );
}

/**
 * Decodes Accept.
 *
 * @param payload At least 14 bytes.
 * @returns The new connection, or a {@linkcode DecodeError}.
 */
export function decodeAccept(payload: Uint8Array): Decoded<IpcAccept> {
  if (payload.length < 14) return NO_ACCEPT;
  const view = viewOf(payload);
  return {
    port: view.getUint16(0),
    conn: view.getUint32(2),
    remote: addressAt(view, 6),
    remotePort: view.getUint16(12),
  };
}

/** Payload of Send and Recv. */
export interface IpcData {
  /** Connection id. */
  readonly conn: number;
  /** Stream bytes; a view when decoded. */
  readonly data: Uint8Array;
}

/**
 * Encodes Send and Recv. To spare a copy, give `encodeConn(conn)` and the data to `encodeIpcFrame` as two parts.
 *
 * @param value Connection and data.
 * @returns 4 bytes and the data.
 */
export function encodeSend(value: IpcData): Uint8Array {
  return concatBytes(encodeConn(value.conn), value.data);
}

/**
 * Decodes Send and Recv.
 *
 * @param payload At least 4 bytes.
 * @returns Connection and data, a view of `payload`; or a {@linkcode DecodeError}.
 */
export function decodeSend(payload: Uint8Array): Decoded<IpcData> {
  if (payload.length < 4) return NO_CONN;
  return { conn: viewOf(payload).getUint32(0), data: payload.subarray(4) };
}

/** Payload of SendTo and SendToConfirm. */
export interface IpcDatagram extends IpcTarget {
  /** Datagram content; a view when decoded. */
  readonly data: Uint8Array;
}

/**
 * Encodes SendTo and SendToConfirm. To spare a copy, give `encodeDial(target)` and the content to `encodeIpcFrame` as
 * two parts.
 *
 * @param datagram Destination and content.
 * @returns 8 bytes and the content.
 */
export function encodeSendTo(datagram: IpcDatagram): Uint8Array {
  return concatBytes(encodeDial(datagram), datagram.data);
}

/**
 * Decodes SendTo and SendToConfirm.
 *
 * @param payload At least 8 bytes.
 * @returns Destination and content, a view of `payload`; or a {@linkcode DecodeError}.
 */
export function decodeSendTo(payload: Uint8Array): Decoded<IpcDatagram> {
  const target = decodeDial(payload);
  if (target instanceof DecodeError) return NO_SENDTO;
  return { ...target, data: payload.subarray(ADDRESS_BYTES + 2) };
}

/** Payload of the RecvFrom push. */
export interface IpcRecvFrom {
  /** Who sent it. */
  readonly source: Address;
  /** The sender's port. */
  readonly sourcePort: number;
  /** Port it was sent to. */
  readonly port: number;
  /** Content; a view when decoded. */
  readonly data: Uint8Array;
}

/**
 * Encodes RecvFrom. To spare a copy, give `encodeRecvFromHeader` and the content to `encodeIpcFrame` as two parts.
 *
 * @param datagram The received datagram.
 * @returns 10 bytes and the content.
 */
export function encodeRecvFrom(datagram: IpcRecvFrom): Uint8Array {
  return concatBytes(encodeRecvFromHeader(datagram), datagram.data);
}

/**
 * Encodes what precedes the content in RecvFrom.
 *
 * @param datagram The received datagram.
 * @returns 10 bytes.
 */
export function encodeRecvFromHeader(datagram: Omit<IpcRecvFrom, "data">): Uint8Array {
  const out = new Uint8Array(RECV_FROM_HEADER_BYTES);
  writeAddress(out, 0, datagram.source);
  writeU16(out, ADDRESS_BYTES, datagram.sourcePort);
  writeU16(out, ADDRESS_BYTES + 2, datagram.port);
  return out;
}

/**
 * Decodes RecvFrom.
 *
 * @param payload At least 10 bytes.
 * @returns The datagram, its data a view of `payload`; or a {@linkcode DecodeError}.
 */
export function decodeRecvFrom(payload: Uint8Array): Decoded<IpcRecvFrom> {
  if (payload.length < RECV_FROM_HEADER_BYTES) return NO_RECV_FROM;
  const view = viewOf(payload);
  return {
    source: addressAt(view, 0),
    sourcePort: view.getUint16(6),
    port: view.getUint16(8),
    data: payload.subarray(RECV_FROM_HEADER_BYTES),
  };
}

/** Payload of Error. */
export interface IpcErrorReply {
  /** Always 1 in practice. */
  readonly code: number;
  /** Text for people. */
  readonly message: string;
}

/**
 * Encodes Error.
 *
 * @param message Text for people.
 * @param code The number; nobody uses another than 1.
 * @returns 2 bytes and the text.
 */
export function encodeIpcError(
  message: string,
  code: number = ERROR_CODE,
): Uint8Array {
  return concatBytes(u16(code), encodeText(message));
}

/**
 * Decodes Error.
 *
 * @param payload At least 2 bytes.
 * @returns Code and text, or a {@linkcode DecodeError}.
 */
export function decodeIpcError(payload: Uint8Array): Decoded<IpcErrorReply> {
  if (payload.length < 2) return NO_ERROR;
  const message = decodeText(payload.subarray(2));
  if (message instanceof DecodeError) return message;
  return { code: viewOf(payload).getUint16(0), message };
}

/** Payload of Broadcast. */
export interface IpcBroadcast {
  /** Network whose members get it. */
  readonly network: number;
  /** Destination port. */
  readonly port: number;
  /** Admin token. */
  readonly token: string;
  /** Content; a view when decoded. */
  readonly data: Uint8Array;
}

/**
 * Encodes Broadcast.
 *
 * @param value Network, port, token (at most 65535 bytes) and content.
 * @returns The payload.
 */
export function encodeBroadcast(value: IpcBroadcast): Uint8Array {
  const token = encodeText(value.token);
  return concatBytes(
    u16(value.network),
    u16(value.port),
    u16(token.length),
    token,
    value.data,
  );
}

/**
 * Decodes Broadcast.
 *
 * @param payload The payload.
 * @returns Its fields, data a view of `payload`; or a {@linkcode DecodeError}.
 */
export function decodeBroadcast(payload: Uint8Array): Decoded<IpcBroadcast> {
  if (payload.length < 6) return NO_BROADCAST;
  const view = viewOf(payload);
  const end = 6 + view.getUint16(4);
  if (payload.length < end) return NO_BROADCAST;
  const token = decodeText(payload.subarray(6, end));
  if (token instanceof DecodeError) return token;
  return {
    network: view.getUint16(0),
    port: view.getUint16(2),
    token,
    data: payload.subarray(end),
  };
}
