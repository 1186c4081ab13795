/**
 * What went over the wire: every datagram classified by the project's own decoders and searched for known
 * plaintext.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { decodeBeacon, isBeaconMessage } from "../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { decodeFrame } from "../../protocol/tunnel/frame.ts";

/** Kinds of datagrams, as they are counted. */
export const WIRE_KINDS = ["pila", "pils", "pilp", "beacon", "other"] as const;
/** One of {@linkcode WIRE_KINDS}; `other` is whatever may not be there: PILT, PILK, and what no decoder takes. */
export type WireKind = typeof WIRE_KINDS[number];

/** Datagrams and their bytes. */
export interface WireCount {
  datagrams: number;
  bytes: number;
}

/** Counts every datagram it is given. */
export class WireRecord {
  /** What was seen. */
  readonly kinds: Readonly<Record<WireKind, WireCount>> = {
    pila: { datagrams: 0, bytes: 0 },
    pils: { datagrams: 0, bytes: 0 },
    pilp: { datagrams: 0, bytes: 0 },
    beacon: { datagrams: 0, bytes: 0 },
    other: { datagrams: 0, bytes: 0 },
  };
  /** Datagrams in which application bytes could be read. */
  plaintextDatagrams = 0;
  readonly #secrets: Buffer[] = [];

  /** Every datagram. */
  get datagrams(): number {
    return WIRE_KINDS.reduce((sum, kind) => sum + this.kinds[kind].datagrams, 0);
  }

  /** The bytes of every datagram. */
  get bytes(): number {
    return WIRE_KINDS.reduce((sum, kind) => sum + this.kinds[kind].bytes, 0);
  }

  /** Bytes that may appear in no datagram from now on. */
  watchFor(secret: string | Uint8Array): void {
    this.#secrets.push(Buffer.from(secret));
  }

  /** Counts one datagram. */
  add(datagram: Uint8Array): void {
    const count = this.kinds[kindOf(datagram)];
    count.datagrams++;
    count.bytes += datagram.length;
    const bytes = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length);
    if (this.#secrets.some((secret) => bytes.includes(secret))) this.plaintextDatagrams++;
  }
}

/**
 * Classifies a datagram.
 *
 * @param datagram The UDP payload.
 * @returns Its kind.
 */
export function kindOf(datagram: Uint8Array): WireKind {
  if (isBeaconMessage(datagram)) {
    return decodeBeacon(datagram) instanceof DecodeError ? "other" : "beacon";
  }
  const frame = decodeFrame(datagram);
  if (frame instanceof DecodeError || frame.type === "pilt" || frame.type === "pilk") {
    return "other";
  }
  return frame.type;
}
