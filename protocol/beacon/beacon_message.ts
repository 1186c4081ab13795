/**
 * Beacon messages: discovery, hole punching, relay and beacon-to-beacon sync (docs/protocol/beacon.md §1).
 *
 * @module
 */

import {
  type BeaconExtensionMessage,
  BeaconExtensionType,
  decodeBeaconExtension,
  encodeBeaconExtension,
} from "./announcement.ts";
import { viewOf } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";

export * from "./announcement.ts";

/** First byte of each beacon message; those of our extension are in {@linkcode BeaconExtensionType}. */
export const BeaconType = {
  discover: 0x01,
  discoverReply: 0x02,
  punchRequest: 0x03,
  punchCommand: 0x04,
  relay: 0x05,
  relayDeliver: 0x06,
  sync: 0x07,
  discoverEx: 0x08,
  relayDeliverDest: 0x09,
  notify: 0x0a,
} as const;

/** Kind of a notify: something waits in the registry's inbox of handshakes. */
const NOTIFY_INBOX = 0x01;
/** Bytes of a notify: type and kind. */
const NOTIFY_BYTES = 2;

/** Datagrams whose first byte is below this belong to the beacon protocol. */
const FIRST_TUNNEL_BYTE = 0x10;
/** Bytes before the frame of a relay or relay_deliver_dest message. */
export const RELAY_HEADER_BYTES = 9;
/** Bytes before the frame of a relay_deliver message. */
export const RELAY_DELIVER_HEADER_BYTES = 5;
/** Most nodes in one sync message: the count is 16 bit. A UDP datagram holds about 16,000. */
export const MAX_SYNC_NODES = 0xffff;

/** An observed endpoint, in messages 02 and 04. */
export interface ObservedEndpoint {
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array;
  /** UDP port. */
  readonly port: number;
}

/** A beacon message. Arrays of decoded messages are views of the datagram. */
export type BeaconMessage =
  | {
    readonly type: "discover";
    readonly node: number;
    /** Sent as 08: the node understands relay_deliver_dest. */
    readonly ex: boolean;
  }
  | ({ readonly type: "discover_reply" } & ObservedEndpoint)
  | {
    readonly type: "punch_request";
    readonly requester: number;
    readonly target: number;
  }
  | ({ readonly type: "punch_command" } & ObservedEndpoint)
  | {
    readonly type: "relay";
    readonly sender: number;
    readonly dest: number;
    readonly frame: Uint8Array;
  }
  | {
    readonly type: "relay_deliver";
    readonly sender: number;
    readonly frame: Uint8Array;
  }
  | {
    readonly type: "relay_deliver_dest";
    readonly sender: number;
    readonly dest: number;
    readonly frame: Uint8Array;
  }
  | {
    readonly type: "sync";
    readonly beacon: number;
    readonly nodes: readonly number[];
  }
  /** The beacon of v1.18 to a node: something waits for it in the registry's inbox (docs/protocol/beacon.md §6). */
  | { readonly type: "notify" }
  | BeaconExtensionMessage;

const TOO_SHORT = new DecodeError("too_short", "beacon message too short");
const TRUNCATED = new DecodeError("truncated", "beacon sync truncated");
const BAD_IP = new DecodeError("malformed", "beacon message: bad IP length");
const UNKNOWN = new DecodeError("unknown_type", "unknown beacon message");

/**
 * Distinguishes beacon messages from tunnel frames on the shared socket.
 *
 * @param bytes A datagram.
 * @returns True when it is not empty and its first byte is below 0x10.
 */
export function isBeaconMessage(bytes: Uint8Array): boolean {
  const first = bytes[0];
  return first !== undefined && first < FIRST_TUNNEL_BYTE;
}

function decodeEndpoint(
  bytes: Uint8Array,
  type: "discover_reply" | "punch_command",
): Decoded<BeaconMessage> {
  const ipLength = bytes[1];
  if (ipLength === undefined) return TOO_SHORT;
  if (ipLength !== 4 && ipLength !== 16) return BAD_IP;
  const end = 2 + ipLength;
  if (bytes.length < end + 2) return TOO_SHORT;
  return {
    type,
    ip: bytes.subarray(2, end),
    port: bytes[end]! << 8 | bytes[end + 1]!,
  };
}

function decodeSync(bytes: Uint8Array): Decoded<BeaconMessage> {
  if (bytes.length < 7) return TOO_SHORT;
  const view = viewOf(bytes);
  const count = view.getUint16(5);
  if (bytes.length < 7 + 4 * count) return TRUNCATED;
  const nodes = new Array<number>(count);
  for (let i = 0; i < count; i++) nodes[i] = view.getUint32(7 + 4 * i);
  return { type: "sync", beacon: view.getUint32(1), nodes };
}

/**
 * Decodes a beacon message. Bytes after a complete message are ignored.
 *
 * @param bytes The datagram.
 * @returns The message, its arrays views of `bytes`; or a {@linkcode DecodeError}.
 */
export function decodeBeacon(bytes: Uint8Array): Decoded<BeaconMessage> {
  const { length } = bytes;
  if (length < 1) return TOO_SHORT;
  const view = viewOf(bytes);
  const code = view.getUint8(0);
  switch (code) {
    case BeaconType.discover:
    case BeaconType.discoverEx:
      if (length < 5) return TOO_SHORT;
      return {
        type: "discover",
        node: view.getUint32(1),
        ex: code === BeaconType.discoverEx,
      };
    case BeaconType.discoverReply:
      return decodeEndpoint(bytes, "discover_reply");
    case BeaconType.punchCommand:
      return decodeEndpoint(bytes, "punch_command");
    case BeaconType.punchRequest:
      if (length < 9) return TOO_SHORT;
      return {
        type: "punch_request",
        requester: view.getUint32(1),
        target: view.getUint32(5),
      };
    case BeaconType.relay:
    case BeaconType.relayDeliverDest:
      if (length < RELAY_HEADER_BYTES) return TOO_SHORT;
      return {
        type: code === BeaconType.relay ? "relay" : "relay_deliver_dest",
        sender: view.getUint32(1),
        dest: view.getUint32(5),
        frame: bytes.subarray(RELAY_HEADER_BYTES),
      };
    case BeaconType.relayDeliver:
      if (length < RELAY_DELIVER_HEADER_BYTES) return TOO_SHORT;
      return {
        type: "relay_deliver",
        sender: view.getUint32(1),
        frame: bytes.subarray(RELAY_DELIVER_HEADER_BYTES),
      };
    case BeaconType.sync:
      return decodeSync(bytes);
    case BeaconType.notify:
      if (length < NOTIFY_BYTES) return TOO_SHORT;
      return bytes[1] === NOTIFY_INBOX ? { type: "notify" } : UNKNOWN;
    case BeaconExtensionType.discoverAuth:
    case BeaconExtensionType.cookie:
    case BeaconExtensionType.wake:
      return decodeBeaconExtension(bytes) ?? TOO_SHORT;
    default:
      return UNKNOWN;
  }
}

function writeHeader(
  out: Uint8Array,
  offset: number,
  code: number,
  ...words: readonly number[]
): number {
  const size = 1 + 4 * words.length;
  const view = new DataView(out.buffer, out.byteOffset + offset, size);
  view.setUint8(0, code);
  words.forEach((word, i) => view.setUint32(1 + 4 * i, word));
  return size;
}

function encodeWords(
  code: number,
  words: readonly number[],
  frame?: Uint8Array,
): Uint8Array {
  const size = 1 + 4 * words.length;
  const out = new Uint8Array(size + (frame?.length ?? 0));
  writeHeader(out, 0, code, ...words);
  if (frame !== undefined) out.set(frame, size);
  return out;
}

function encodeEndpoint(code: number, endpoint: ObservedEndpoint): Uint8Array {
  const { ip, port } = endpoint;
  if (ip.length !== 4 && ip.length !== 16) {
    throw new PilotError(
      "invalid_argument",
      `An IP address has 4 or 16 bytes, not ${ip.length}`,
    );
  }
  const out = new Uint8Array(4 + ip.length);
  out[0] = code;
  out[1] = ip.length;
  out.set(ip, 2);
  viewOf(out).setUint16(2 + ip.length, port);
  return out;
}

function encodeSync(beacon: number, nodes: readonly number[]): Uint8Array {
  if (nodes.length > MAX_SYNC_NODES) {
    throw new PilotError(
      "invalid_argument",
      `A beacon sync holds at most ${MAX_SYNC_NODES} nodes, not ${nodes.length}`,
    );
  }
  const out = new Uint8Array(7 + 4 * nodes.length);
  writeHeader(out, 0, BeaconType.sync, beacon);
  const view = viewOf(out);
  view.setUint16(5, nodes.length);
  nodes.forEach((node, i) => view.setUint32(7 + 4 * i, node));
  return out;
}

/**
 * Encodes a beacon message.
 *
 * @param message The message.
 * @returns The datagram.
 * @throws {PilotError} `invalid_argument` when an IP has neither 4 nor 16 bytes, or a sync has too many nodes.
 */
export function encodeBeacon(message: BeaconMessage): Uint8Array {
  switch (message.type) {
    case "discover":
      return encodeWords(
        message.ex ? BeaconType.discoverEx : BeaconType.discover,
        [message.node],
      );
    case "discover_reply":
      return encodeEndpoint(BeaconType.discoverReply, message);
    case "punch_request":
      return encodeWords(BeaconType.punchRequest, [
        message.requester,
        message.target,
      ]);
    case "punch_command":
      return encodeEndpoint(BeaconType.punchCommand, message);
    case "relay":
      return encodeWords(
        BeaconType.relay,
        [message.sender, message.dest],
        message.frame,
      );
    case "relay_deliver":
      return encodeWords(
        BeaconType.relayDeliver,
        [message.sender],
        message.frame,
      );
    case "relay_deliver_dest":
      return encodeWords(
        BeaconType.relayDeliverDest,
        [message.sender, message.dest],
        message.frame,
      );
    case "sync":
      return encodeSync(message.beacon, message.nodes);
    case "notify":
      return Uint8Array.of(BeaconType.notify, NOTIFY_INBOX);
    case "discover_auth":
    case "cookie":
    case "wake":
      return encodeBeaconExtension(message);
  }
}

/**
 * Turns a relay datagram into the one to deliver, in its own bytes: a beacon does this for every datagram.
 *
 * @param datagram A complete relay message (05); is changed.
 * @param withDest Deliver as 09, which names the receiver, instead of 06.
 * @returns The datagram to send, a view of `datagram`.
 */
export function relayToDelivery(datagram: Uint8Array, withDest: boolean): Uint8Array {
  if (withDest) {
    datagram[0] = BeaconType.relayDeliverDest;
    return datagram;
  }
  const skipped = RELAY_HEADER_BYTES - RELAY_DELIVER_HEADER_BYTES;
  datagram.copyWithin(1 + skipped, 1, 5); // the sender takes the place of the receiver
  datagram[skipped] = BeaconType.relayDeliver;
  return datagram.subarray(skipped);
}

/**
 * Writes the 9 bytes before a frame that goes through the relay, for frames built in place.
 *
 * @param out Where to write.
 * @param offset First byte; {@linkcode RELAY_HEADER_BYTES} must follow.
 * @param sender Our node.
 * @param dest The peer's node.
 * @returns Bytes written, 9.
 */
export function encodeRelayInto(
  out: Uint8Array,
  offset: number,
  sender: number,
  dest: number,
): number {
  const view = new DataView(
    out.buffer,
    out.byteOffset + offset,
    RELAY_HEADER_BYTES,
  );
  view.setUint8(0, BeaconType.relay);
  view.setUint32(1, sender);
  view.setUint32(5, dest);
  return RELAY_HEADER_BYTES;
}
