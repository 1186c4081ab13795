/**
 * Our extension of the beacon protocol: an announcement that proves the sender and that the answer reaches it,
 * and the beacon's "look into your inbox". Types 0D to 0F, which no other implementation is known to use; a beacon
 * or node that does not know them ignores them (docs/protocol/beacon.md §5).
 *
 * | type | name | direction | layout |
 * |---|---|---|---|
 * | 0D | discover_auth | node to beacon | `0D` u32 node, u8 flags, nonce 16, cookie 16 (0 when asking for one), [signature 64] |
 * | 0E | cookie | beacon to node | `0E` u8 status (bit 0: this endpoint is proven), nonce 16, cookie 16 |
 * | 0F | wake | beacon to node | `0F` token 16 (nonce of the proof), u32 sequence |
 *
 * The node asks without signature (38 bytes) and gets a cookie (34 bytes); only who receives at the address that it
 * claims has it. It signs the cookie and sends it back (102 bytes), and gets status 1.
 *
 * @module
 */

import { concatBytes, encodeText, viewOf } from "../bytes.ts";

/** First byte of the messages of the extension. */
export const BeaconExtensionType = {
  discoverAuth: 0x0d,
  cookie: 0x0e,
  wake: 0x0f,
} as const;

/** Bytes of a nonce, and of the token of a wake, which is one. */
export const BEACON_NONCE_BYTES = 16;
/** Bytes of a cookie. */
export const BEACON_COOKIE_BYTES = 16;
/** Flag of a discover_auth: the node understands wakes. */
export const DISCOVER_WAKE = 0x01;
/** Flag of a discover_auth: the node understands relay_deliver_dest. */
export const DISCOVER_EX = 0x02;

const SIGNATURE_BYTES = 64;
const ASK_BYTES = 6 + BEACON_NONCE_BYTES + BEACON_COOKIE_BYTES;
const PROOF_BYTES = ASK_BYTES + SIGNATURE_BYTES;
const COOKIE_MESSAGE_BYTES = 2 + BEACON_NONCE_BYTES + BEACON_COOKIE_BYTES;
const WAKE_BYTES = 1 + BEACON_NONCE_BYTES + 4;
const STATUS_PROVEN = 0x01;
/** What a proof signs begins with this; no other signed text of the protocol does. */
const DOMAIN = "pilot-beacon-discover:v1\0";

/** A message of the extension. Arrays of decoded messages are views of the datagram. */
export type BeaconExtensionMessage =
  | {
    readonly type: "discover_auth";
    readonly node: number;
    /** {@linkcode DISCOVER_WAKE} and {@linkcode DISCOVER_EX}; others are ignored. */
    readonly flags: number;
    /** 16 bytes, new for each announcement; the answer repeats them. */
    readonly nonce: Uint8Array;
    /** 16 bytes; meaningless without signature. */
    readonly cookie: Uint8Array;
    /** 64 bytes over {@linkcode discoverChallenge}; undefined in the request for a cookie. */
    readonly signature: Uint8Array | undefined;
  }
  | {
    readonly type: "cookie";
    /** The endpoint this went to is proven to be the node's. */
    readonly isProven: boolean;
    readonly nonce: Uint8Array;
    readonly cookie: Uint8Array;
  }
  | {
    readonly type: "wake";
    /** Nonce of the node's last proof: a stranger does not know it. */
    readonly token: Uint8Array;
    /** The same in repetitions of one wake. */
    readonly sequence: number;
  };

/**
 * Decodes a message of the extension.
 *
 * @param bytes A datagram that begins with 0D, 0E or 0F. Bytes after a complete message are ignored.
 * @returns The message, or undefined when it is too short or another type.
 */
export function decodeBeaconExtension(bytes: Uint8Array): BeaconExtensionMessage | undefined {
  const { length } = bytes;
  switch (bytes[0]) {
    case BeaconExtensionType.discoverAuth: {
      if (length < ASK_BYTES) return undefined;
      const cookieAt = 6 + BEACON_NONCE_BYTES;
      return {
        type: "discover_auth",
        node: viewOf(bytes).getUint32(1),
        flags: bytes[5]!,
        nonce: bytes.subarray(6, cookieAt),
        cookie: bytes.subarray(cookieAt, ASK_BYTES),
        signature: length < PROOF_BYTES ? undefined : bytes.subarray(ASK_BYTES, PROOF_BYTES),
      };
    }
    case BeaconExtensionType.cookie: {
      if (length < COOKIE_MESSAGE_BYTES) return undefined;
      const cookieAt = 2 + BEACON_NONCE_BYTES;
      return {
        type: "cookie",
        isProven: (bytes[1]! & STATUS_PROVEN) !== 0,
        nonce: bytes.subarray(2, cookieAt),
        cookie: bytes.subarray(cookieAt, COOKIE_MESSAGE_BYTES),
      };
    }
    case BeaconExtensionType.wake:
      if (length < WAKE_BYTES) return undefined;
      return {
        type: "wake",
        token: bytes.subarray(1, 1 + BEACON_NONCE_BYTES),
        sequence: viewOf(bytes).getUint32(1 + BEACON_NONCE_BYTES),
      };
    default:
      return undefined;
  }
}

/**
 * Encodes a message of the extension.
 *
 * @param message The message; its arrays have the lengths of the layout.
 * @returns The datagram.
 */
export function encodeBeaconExtension(message: BeaconExtensionMessage): Uint8Array {
  switch (message.type) {
    case "discover_auth": {
      const { node, flags, nonce, cookie, signature } = message;
      const out = new Uint8Array(signature === undefined ? ASK_BYTES : PROOF_BYTES);
      out[0] = BeaconExtensionType.discoverAuth;
      viewOf(out).setUint32(1, node);
      out[5] = flags;
      out.set(nonce, 6);
      out.set(cookie, 6 + BEACON_NONCE_BYTES);
      if (signature !== undefined) out.set(signature, ASK_BYTES);
      return out;
    }
    case "cookie": {
      const out = new Uint8Array(COOKIE_MESSAGE_BYTES);
      out[0] = BeaconExtensionType.cookie;
      out[1] = message.isProven ? STATUS_PROVEN : 0;
      out.set(message.nonce, 2);
      out.set(message.cookie, 2 + BEACON_NONCE_BYTES);
      return out;
    }
    case "wake": {
      const out = new Uint8Array(WAKE_BYTES);
      out[0] = BeaconExtensionType.wake;
      out.set(message.token, 1);
      viewOf(out).setUint32(1 + BEACON_NONCE_BYTES, message.sequence);
      return out;
    }
  }
}

/**
 * What a node signs with its Ed25519 key to prove an announcement. The cookie ties it to the address and the
 * minute it is sent from, so that it is of no use elsewhere.
 *
 * @param proof The announcement without its signature.
 * @returns The bytes.
 */
export function discoverChallenge(
  { node, flags, nonce, cookie }: {
    readonly node: number;
    readonly flags: number;
    readonly nonce: Uint8Array;
    readonly cookie: Uint8Array;
  },
): Uint8Array {
  const head = new Uint8Array(5);
  viewOf(head).setUint32(0, node);
  head[4] = flags;
  return concatBytes(encodeText(DOMAIN), head, nonce, cookie);
}
