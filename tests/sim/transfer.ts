/**
 * Bulk data for simulated streams: a writer and a checking reader of a known pattern.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { End } from "./pair.ts";
import { Random } from "./random.ts";

/** Length of the pattern: prime, so that no power-of-two slip goes unnoticed. */
const PATTERN_BYTES = 1_048_573;
const PATTERN = new Random(42).fill(new Uint8Array(PATTERN_BYTES));

/** Bytes of the pattern at a position. */
export function pattern(at: number, length: number): Uint8Array {
  const from = at % PATTERN_BYTES;
  return PATTERN.subarray(from, Math.min(from + length, PATTERN_BYTES));
}

/** What to transfer. Positions are places in the pattern. */
export interface TransferOptions {
  /** Bytes to write. */
  write: number;
  /** Bytes to read. */
  read: number;
  /** Where our bytes begin. Default 0. */
  writeFrom?: number;
  /** Where the peer's bytes begin. Default 0. */
  readFrom?: number;
  /** Close when both are done. Default true. */
  close?: boolean;
}

/** Writes bytes of the pattern and checks what it reads; closes when both are done. */
export class Transfer {
  written = 0;
  checked = 0;
  readonly options: TransferOptions;

  constructor(end: End, options: TransferOptions) {
    this.options = options;
    const { write: total, read, close = true } = options;
    const skew = options.writeFrom ?? 0;
    const peerSkew = options.readFrom ?? 0;
    end.app = (e, now) => {
      const { stream } = e;
      if (stream === undefined) return;
      if (stream.state === "ESTABLISHED" || stream.state === "CLOSE_WAIT") {
        while (this.written < total) {
          const chunk = pattern(
            skew + this.written,
            Math.min(65_536, total - this.written),
          );
          const taken = stream.write(chunk, now);
          this.written += taken;
          if (taken < chunk.length) break;
        }
      }
      for (const bytes of e.received.splice(0)) {
        for (let at = 0; at < bytes.length;) {
          const want = pattern(peerSkew + this.checked, bytes.length - at);
          const got = bytes.subarray(at, at + want.length);
          if (Buffer.compare(want, got) !== 0) {
            throw new Error(`Bytes differ near offset ${this.checked}`);
          }
          this.checked += got.length;
          at += got.length;
        }
      }
      if (close && this.written === total && this.checked === read) {
        stream.close(now);
      }
    };
  }

  /** Whether everything was written and read. */
  get done(): boolean {
    return this.written === this.options.write &&
      this.checked === this.options.read;
  }
}
