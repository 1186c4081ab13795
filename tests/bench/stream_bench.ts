/**
 * Cost of the stream layer alone, per segment: no encoding, no network.
 *
 * Run with `deno bench -A tests/bench/stream_bench.ts`.
 *
 * @module
 */

import { Stream } from "../../protocol/stream/mod.ts";

/** Segments per measured turn. */
const SEGMENTS = 1000;
const MSS = 1152;
const WRITE = new Uint8Array(64 << 10).fill(7);

/** Two streams back to back, one segment dropped in `dropEvery`. */
class Loop {
  readonly #a: Stream;
  readonly #b: Stream;
  readonly #dropEvery: number;
  #now = 0;
  #count = 0;

  constructor(dropEvery = Infinity) {
    this.#dropEvery = dropEvery;
    this.#a = Stream.connect({ isn: 1000 }, 0);
    const syn = this.#a.transmit(0);
    if (syn === undefined) throw new Error("no SYN");
    this.#b = Stream.accept({ isn: 2000 }, syn, 0);
    for (let i = 0; i < 4; i++) this.#exchange();
    // Warm up: past slow start.
    this.transfer(5000);
  }

  /** Moves this many segments of data from one to the other, with their acknowledgements. */
  transfer(segments: number): void {
    const goal = this.#count + segments;
    while (this.#count < goal) this.#exchange();
  }

  #exchange(): void {
    // A millisecond per turn, and a batch of segments in each, as from a socket that reads in batches.
    this.#now += 1;
    const now = this.#now;
    const a = this.#a;
    const b = this.#b;
    if (a.deadline() <= now) a.onTimer(now);
    if (b.deadline() <= now) b.onTimer(now);
    if (a.state === "ESTABLISHED") { while (a.write(WRITE, now) === WRITE.length); }
    for (let n = 0; n < 64; n++) {
      const s = a.transmit(now);
      if (s === undefined) break;
      if (s.payload.length > 0 && ++this.#count % this.#dropEvery === 0) continue;
      b.onSegment(s, now);
      for (let ack = b.transmit(now); ack !== undefined; ack = b.transmit(now)) {
        a.onSegment(ack, now);
      }
    }
    while (b.read() !== undefined);
    for (let s = b.transmit(now); s !== undefined; s = b.transmit(now)) a.onSegment(s, now);
    while (a.pollEvent() !== undefined);
    while (b.pollEvent() !== undefined);
  }
}

const clean = new Loop();
Deno.bench(`stream: ${SEGMENTS} segments of ${MSS} bytes, sent, received, acknowledged`, () => {
  clean.transfer(SEGMENTS);
});

const lossy = new Loop(100);
Deno.bench(`stream: ${SEGMENTS} segments, 1 % lost`, () => {
  lossy.transfer(SEGMENTS);
});

Deno.bench("stream: handshake and close", () => {
  const a = Stream.connect({ isn: 1000 }, 0);
  const syn = a.transmit(0);
  if (syn === undefined) throw new Error("no SYN");
  const b = Stream.accept({ isn: 2000 }, syn, 0);
  const run = () => {
    for (let turn = 0; turn < 3; turn++) {
      for (let s = b.transmit(0); s !== undefined; s = b.transmit(0)) a.onSegment(s, 0);
      for (let s = a.transmit(0); s !== undefined; s = a.transmit(0)) b.onSegment(s, 0);
    }
  };
  run();
  a.close(0);
  run();
  if (b.state !== "CLOSED") throw new Error(b.state);
});
