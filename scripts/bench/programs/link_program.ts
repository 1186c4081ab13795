/**
 * An emulated link: reads the packets that a router sends to a TUN device, delays them, loses some by a seed, and gives
 * them back to the router. Whatever is IPv4 takes it: UDP and TCP alike. Started as `link_program.ts CONFIG`, in the router's
 * namespace, as root on Linux; answers `counters`; ends with its stdin.
 *
 * @module
 */

import { attachTun, type Tun } from "./tun.ts";

/** What to do. */
export interface LinkConfig {
  /** The TUN device, which exists. */
  readonly device: string;
  /** IPv4 address of end b; what is not for it is for end a. */
  readonly b: string;
  /** Delay of each packet, milliseconds. */
  readonly delayMs: number;
  /** Share lost in each direction, 0..1. */
  readonly loss: number;
  /** Decides which ones. */
  readonly seed: number;
}

/** What happened to the packets of one direction. */
export interface LinkCounters {
  /** Packets given back to the router. */
  packets: number;
  /** Their bytes, IP headers included. */
  bytes: number;
  /** Packets lost by chance. */
  lost: number;
  /** Packets lost because there was no room for them; the figures mean nothing then. */
  overrun: number;
}

/** Packets under way in one direction; 2 s at 100 Mbit/s are 17,000 full ones. */
const MAX_UNDER_WAY = 65_536;
/** Packets read before those that are due leave. */
const READ_BATCH = 64;
/** The largest IP packet. */
const PACKET_BYTES = 65_536;
/** Wait while nothing is under way, milliseconds; whatever arrives ends it. */
const IDLE_MS = 10_000;
const DESTINATION_AT = 16;

/** Numbers of 0..1 that depend on the seed alone (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One direction: a delay that keeps the order, and loss. */
export class Direction {
  /** What happened so far. */
  readonly counters: LinkCounters = { packets: 0, bytes: 0, lost: 0, overrun: 0 };
  readonly #delayMs: number;
  readonly #loss: number;
  readonly #random: () => number;
  #queue: { readonly packet: Uint8Array<ArrayBuffer>; readonly dueMs: number }[] = [];
  #head = 0;

  /** Nothing under way yet. */
  constructor({ delayMs, loss, seed }: Pick<LinkConfig, "delayMs" | "loss" | "seed">) {
    this.#delayMs = delayMs;
    this.#loss = loss;
    this.#random = seededRandom(seed);
  }

  /** When {@linkcode take} has something, milliseconds. */
  get dueMs(): number {
    return this.#queue[this.#head]?.dueMs ?? Infinity;
  }

  /** Takes a packet, which is copied, at the near end. */
  push(packet: Uint8Array<ArrayBuffer>, nowMs: number): void {
    if (this.#random() < this.#loss) this.counters.lost++;
    else if (this.#queue.length - this.#head >= MAX_UNDER_WAY) this.counters.overrun++;
    else this.#queue.push({ packet: packet.slice(), dueMs: nowMs + this.#delayMs });
  }

  /** The next packet that is due at the far end. */
  take(nowMs: number): Uint8Array<ArrayBuffer> | undefined {
    const first = this.#queue[this.#head];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    if (++this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.counters.packets++;
    this.counters.bytes += first.packet.length;
    return first.packet;
  }
}

/** Blocks this thread until stdin ends: nothing else is to be done here, and timers of the runtime are too coarse. */
function forward(tun: Tun, config: LinkConfig): void {
  const directions = [0, 1].map((i) => new Direction({ ...config, seed: config.seed + i }));
  const [toB, toA] = directions as [Direction, Direction];
  const b = config.b.split(".").map(Number);
  const buffer = new Uint8Array(PACKET_BYTES);
  for (;;) {
    const due = Math.min(toB.dueMs, toA.dueMs);
    const { packets, input } = tun.wait(Math.min(due - performance.now(), IDLE_MS));
    for (let i = 0; packets && i < READ_BATCH; i++) {
      const length = tun.read(buffer);
      if (length === 0) break;
      if (buffer[0]! >> 4 !== 4) continue;
      const isForB = b.every((byte, i) => buffer[DESTINATION_AT + i] === byte);
      (isForB ? toB : toA).push(buffer.subarray(0, length), performance.now());
    }
    const now = performance.now();
    for (const direction of directions) {
      for (let packet; (packet = direction.take(now)) !== undefined;) tun.write(packet);
    }
    if (!input) continue;
    const lines = tun.readInput();
    if (lines === undefined) return;
    // The one thing that is asked for.
    for (let i = 0; i < lines; i++) {
      console.log(JSON.stringify({ data: { toB: toB.counters, toA: toA.counters } }));
    }
  }
}

if (import.meta.main) {
  const config: LinkConfig = JSON.parse(Deno.args[0]!);
  const tun = attachTun(config.device);
  console.log(JSON.stringify({ ready: true }));
  forward(tun, config);
  Deno.exit(0);
}
