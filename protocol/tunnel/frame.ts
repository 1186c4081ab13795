/**
 * Tunnel frames, the datagrams between two daemons (docs/protocol/tunnel.md §3.1 to §5.3). Beacon messages share the
 * socket and are distinguished by their first byte, see beacon_message.ts.
 *
 * @module
 */

import { viewOf, wholeViewOf } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";
import { HEADER_BYTES } from "../packet.ts";

export { nonceCounter, noncePrefix } from "../crypto/nonce.ts";

/** `PILT`: plaintext packet. */
export const MAGIC_PILT = 0x50494c54;
/** `PILS`: sealed packet. */
export const MAGIC_PILS = 0x50494c53;
/** `PILK`: unauthenticated key. */
export const MAGIC_PILK = 0x50494c4b;
/** `PILA`: authenticated key. */
export const MAGIC_PILA = 0x50494c41;
/** `PILP`: hole punch, no content. */
export const MAGIC_PILP = 0x50494c50;

/** Where the sender, the additional data of the seal, lies in a PILS frame. */
export const PILS_AAD_OFFSET = 4;
/** Where the nonce lies in a PILS frame. */
export const PILS_NONCE_OFFSET = 8;
/** Bytes before the ciphertext of a PILS frame: magic, sender, nonce. */
export const PILS_HEADER_BYTES = 20;
/** Bytes a PILS frame adds to its packet: header and tag. */
export const PILS_OVERHEAD_BYTES = 36;
/** Bytes of a PILA frame without trailer. */
export const PILA_BYTES = 136;
/** Bytes of a PILK frame. */
export const PILK_BYTES = 40;

const MAGIC_BYTES = 4;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** `auth`, the label of the PILA signature. */
const AUTH_LABEL = 0x61757468;
/** Trailer flag: please answer, even if you have my key. */
const FLAG_REQUEST = 1;
/** Trailer flag: this is an answer. */
const FLAG_RESPONSE = 2;
/** Longest LEB128 form of 64 bits; a longer one is not a varint. */
const MAX_VARINT_BYTES = 10;

/** Key exchange with proof of identity. */
export interface PilaFields {
  /** Node that sends. */
  readonly sender: number;
  /** Its X25519 public key, 32 bytes. */
  readonly x25519: Uint8Array;
  /** Its Ed25519 public key, 32 bytes. */
  readonly ed25519: Uint8Array;
  /** Ed25519 over {@linkcode pilaChallenge}, 64 bytes. */
  readonly signature: Uint8Array;
  /** Asks for an answer in any case. */
  readonly request: boolean;
  /** Is the answer to such a request. */
  readonly response: boolean;
}

/** A decoded tunnel frame; all arrays are views of the datagram. */
export type TunnelFrame =
  | {
    readonly type: "pils";
    readonly sender: number;
    /** 12 bytes: prefix u32, counter u64. */
    readonly nonce: Uint8Array;
    /** Ciphertext and 16-byte tag. */
    readonly sealed: Uint8Array;
  }
  | ({ readonly type: "pila" } & PilaFields)
  | {
    readonly type: "pilk";
    readonly sender: number;
    /** X25519 public key, 32 bytes. */
    readonly x25519: Uint8Array;
  }
  | { readonly type: "pilp" }
  | {
    readonly type: "pilt";
    /** A whole packet, header included. */
    readonly packet: Uint8Array;
  };

const TOO_SHORT = new DecodeError("too_short", "tunnel frame too short");
const UNKNOWN = new DecodeError("unknown_type", "unknown tunnel frame magic");
const PUNCH: TunnelFrame = { type: "pilp" };

/** Skips one varint and returns `[low 7 bits, next offset]`; 0 and an offset past the end when there is none. */
function readVarint(bytes: Uint8Array, offset: number): [number, number] {
  const low = (bytes[offset] ?? 0) & 0x7f;
  const end = Math.min(bytes.length, offset + MAX_VARINT_BYTES);
  for (let i = offset; i < end; i++) {
    if (bytes[i]! < 0x80) return [low, i + 1];
  }
  return [0, bytes.length + 1];
}

/**
 * Flags of the optional trailer `caps varint, flags varint` (§4.2); 0 when absent or broken, as older peers read it.
 */
function trailerFlags(datagram: Uint8Array): number {
  const [, afterCaps] = readVarint(datagram, PILA_BYTES);
  if (afterCaps >= datagram.length) return 0;
  return readVarint(datagram, afterCaps)[0];
}

/**
 * Decodes a tunnel frame (§3.2). Signatures and tags are not checked here.
 *
 * @param datagram A datagram whose first byte is 0x10 or above.
 * @returns The frame, its arrays views of `datagram`; or a {@linkcode DecodeError}.
 */
export function decodeFrame(datagram: Uint8Array): Decoded<TunnelFrame> {
  const { length } = datagram;
  if (length < MAGIC_BYTES) return TOO_SHORT;
  const view = viewOf(datagram);
  switch (view.getUint32(0)) {
    case MAGIC_PILS:
      if (length < PILS_OVERHEAD_BYTES) return TOO_SHORT;
      return {
        type: "pils",
        sender: view.getUint32(4),
        nonce: datagram.subarray(8, PILS_HEADER_BYTES),
        sealed: datagram.subarray(PILS_HEADER_BYTES),
      };
    case MAGIC_PILA: {
      if (length < PILA_BYTES) return TOO_SHORT;
      const flags = trailerFlags(datagram);
      return {
        type: "pila",
        sender: view.getUint32(4),
        x25519: datagram.subarray(8, 40),
        ed25519: datagram.subarray(40, 72),
        signature: datagram.subarray(72, PILA_BYTES),
        request: (flags & FLAG_REQUEST) !== 0,
        response: (flags & FLAG_RESPONSE) !== 0,
      };
    }
    case MAGIC_PILK:
      if (length < PILK_BYTES) return TOO_SHORT;
      return {
        type: "pilk",
        sender: view.getUint32(4),
        x25519: datagram.subarray(8, PILK_BYTES),
      };
    case MAGIC_PILP:
      return PUNCH;
    case MAGIC_PILT:
      if (length < MAGIC_BYTES + HEADER_BYTES) return TOO_SHORT;
      return { type: "pilt", packet: datagram.subarray(MAGIC_BYTES) };
    default:
      return UNKNOWN;
  }
}

/**
 * The sender of a sealed frame, for the packet path, which needs nothing else of it.
 *
 * @param datagram A datagram.
 * @returns The node number; undefined when it is no PILS frame.
 */
export function pilsSender(datagram: Uint8Array): number | undefined {
  if (datagram.length < PILS_OVERHEAD_BYTES) return undefined;
  const view = wholeViewOf(datagram);
  const at = datagram.byteOffset;
  return view.getUint32(at) === MAGIC_PILS ? view.getUint32(at + 4) : undefined;
}

function checkLength(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new PilotError(
      "invalid_argument",
      `${name} must be ${length} bytes, not ${bytes.length}`,
    );
  }
}

/** What {@linkcode encodePila} takes: the flags are optional. */
export type PilaInput =
  & Omit<PilaFields, "request" | "response">
  & Partial<Pick<PilaFields, "request" | "response">>;

/**
 * Encodes a PILA frame (§4.2). The trailer `00 <flags>` is added only when a flag is asked for.
 *
 * @param fields Keys, signature and flags.
 * @returns 136 bytes, or 138 with trailer.
 * @throws {PilotError} `invalid_argument` when a key or the signature has the wrong length.
 */
export function encodePila(fields: PilaInput): Uint8Array {
  checkLength("X25519 key", fields.x25519, KEY_BYTES);
  checkLength("Ed25519 key", fields.ed25519, KEY_BYTES);
  checkLength("Signature", fields.signature, SIGNATURE_BYTES);
  const flags = (fields.request === true ? FLAG_REQUEST : 0) |
    (fields.response === true ? FLAG_RESPONSE : 0);
  const out = new Uint8Array(PILA_BYTES + (flags === 0 ? 0 : 2));
  const view = viewOf(out);
  view.setUint32(0, MAGIC_PILA);
  view.setUint32(4, fields.sender);
  out.set(fields.x25519, 8);
  out.set(fields.ed25519, 40);
  out.set(fields.signature, 72);
  if (flags !== 0) out[PILA_BYTES + 1] = flags;
  return out;
}

/**
 * The 40 bytes a PILA signature covers: `auth`, sender, X25519 key (§4.1).
 *
 * @param sender Node that sends the PILA.
 * @param x25519 Its X25519 public key, 32 bytes.
 * @returns The message to sign.
 * @throws {PilotError} `invalid_argument` when the key has the wrong length.
 */
export function pilaChallenge(sender: number, x25519: Uint8Array): Uint8Array {
  checkLength("X25519 key", x25519, KEY_BYTES);
  const out = new Uint8Array(8 + KEY_BYTES);
  const view = viewOf(out);
  view.setUint32(0, AUTH_LABEL);
  view.setUint32(4, sender);
  out.set(x25519, 8);
  return out;
}

/**
 * Encodes a PILK frame (§4.5); only of use as a request for the peer's PILA.
 *
 * @param sender Node that sends.
 * @param x25519 Its X25519 public key, 32 bytes.
 * @returns 40 bytes.
 * @throws {PilotError} `invalid_argument` when the key has the wrong length.
 */
export function encodePilk(sender: number, x25519: Uint8Array): Uint8Array {
  checkLength("X25519 key", x25519, KEY_BYTES);
  const out = new Uint8Array(PILK_BYTES);
  const view = viewOf(out);
  view.setUint32(0, MAGIC_PILK);
  view.setUint32(4, sender);
  out.set(x25519, 8);
  return out;
}

/**
 * Writes the 20 bytes before the ciphertext of a PILS frame (§5.1). The nonce lies at `offset + 8`, 12 bytes;
 * the additional data, the sender, at `offset + 4`, 4 bytes.
 *
 * @param out Where to write.
 * @param offset First byte; {@linkcode PILS_HEADER_BYTES} must follow.
 * @param sender Node that sends.
 * @param prefix Nonce prefix, unsigned 32 bit.
 * @param counter Nonce counter; a number must be a safe integer.
 */
export function writePilsHeader(
  out: Uint8Array,
  offset: number,
  sender: number,
  prefix: number,
  counter: bigint | number,
): void {
  const view = wholeViewOf(out);
  const at = out.byteOffset + offset;
  view.setUint32(at, MAGIC_PILS);
  view.setUint32(at + 4, sender);
  view.setUint32(at + 8, prefix);
  if (typeof counter === "bigint") {
    view.setBigUint64(at + 12, counter);
  } else {
    view.setUint32(at + 12, Math.floor(counter / 0x100000000));
    view.setUint32(at + 16, counter >>> 0);
  }
}

/**
 * Encodes a hole punch (§3.2).
 *
 * @returns The 4 bytes `PILP`.
 */
export function encodePunch(): Uint8Array {
  const out = new Uint8Array(MAGIC_BYTES);
  viewOf(out).setUint32(0, MAGIC_PILP);
  return out;
}

/**
 * Encodes a plaintext frame; only for daemons that run without encryption.
 *
 * @param packet A whole packet, header included.
 * @returns `PILT` and the packet.
 */
export function encodePilt(packet: Uint8Array): Uint8Array {
  const out = new Uint8Array(MAGIC_BYTES + packet.length);
  viewOf(out).setUint32(0, MAGIC_PILT);
  out.set(packet, MAGIC_BYTES);
  return out;
}
