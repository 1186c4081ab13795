/**
 * A conversation that notices every byte that is lost, doubled or changed.
 *
 * @module
 */

import type { Clock } from "../../../platform/clock.ts";
import type { Conn } from "../../../daemon/stream/stream_conn.ts";

/** Byte at a position of what the side with this seed says. */
function byteAt(seed: number, position: number): number {
  return Math.imul(position + seed * 7_919 + 1, 2_654_435_761) >>> 24;
}

/** One side. */
export class Talker {
  readonly conn: Conn;
  /** Bytes said and taken by the stream. */
  said = 0;
  /** Bytes heard, all of them right. */
  heard = 0;
  /** When the first byte came. */
  firstByteMs: number | undefined;
  /** When the last byte came. */
  lastByteMs: number | undefined;
  /** Longest time between two arrivals, ms. */
  longestGapMs = 0;
  /** What went wrong. */
  error: string | undefined;
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #otherSeed: number;
  #wanted = 0;

  constructor(conn: Conn, clock: Clock, seeds: { own: number; other: number }) {
    this.conn = conn;
    this.#clock = clock;
    this.#seed = seeds.own;
    this.#otherSeed = seeds.other;
    conn.setListener({
      onReadable: () => this.#read(),
      onWritable: () => this.#pump(),
      onClosed: (error) => this.error ??= `closed: ${error?.message ?? "orderly"}`,
    });
  }

  /** Bytes it was told to say. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Says this many bytes more. */
  say(bytes: number): void {
    this.#wanted += bytes;
    this.#pump();
  }

  #pump(): void {
    while (this.said < this.#wanted) {
      const length = Math.min(this.#wanted - this.said, 16_384);
      const chunk = new Uint8Array(length);
      for (let i = 0; i < length; i++) chunk[i] = byteAt(this.#seed, this.said + i);
      const taken = this.conn.write(chunk);
      this.said += taken;
      if (taken < length) return;
    }
  }

  #read(): void {
    const now = this.#clock.now();
    for (let data = this.conn.read(); data !== undefined; data = this.conn.read()) {
      for (const byte of data) {
        if (byte === byteAt(this.#otherSeed, this.heard)) this.heard++;
        else this.error ??= `wrong byte at ${this.heard}`;
      }
      this.firstByteMs ??= now;
      this.longestGapMs = Math.max(this.longestGapMs, now - (this.lastByteMs ?? now));
      this.lastByteMs = now;
    }
  }
}
