/**
 * What a stream makes of a path, in the simulator: 100 Mbit/s with one bandwidth-delay product of queue, round trips
 * of 10 to 200 ms, random loss of 0 to 5 %; beside it plain CUBIC (RFC 9438) and NewReno on the same recovery.
 *
 * Run with `deno bench -A tests/bench/path_bench.ts`. The table is written first; what is then timed is the
 * simulation of one second.
 *
 * @module
 */

import { type CongestionControl, Cubic, NewReno } from "../../protocol/stream/mod.ts";
import { SharedLink } from "../sim/shared_link.ts";

/** 100 Mbit/s, in bytes per ms. */
const RATE = 12_500;
const ROUND_TRIPS_MS = [10, 50, 100, 200];
const LOSSES = [0, 0.001, 0.01, 0.02, 0.05];
const SECONDS = 10;
/** Chance needs several runs. */
const SEEDS = [1, 2, 3];

type Maker = (mss: number) => CongestionControl;

const CONTROLS: ReadonlyArray<readonly [string, Maker]> = [
  ["ours", (mss) => new Cubic(mss)],
  ["cubic", (mss) => new Cubic(mss, { plain: true })],
  ["newreno", (mss) => new NewReno(mss)],
];

function path(rttMs: number, loss: number, congestion: Maker, seed: number): SharedLink {
  const options = { rate: RATE, delayMs: rttMs / 2, queueBytes: RATE * rttMs, loss };
  return new SharedLink(options, [{ congestion, timerMs: 1 }], seed);
}

/** Mbit/s from the first SYN on, and segments that overflowed the queue in the first two seconds. */
function run(rttMs: number, loss: number, congestion: Maker): [number, number] {
  const seeds = loss === 0 ? SEEDS.slice(0, 1) : SEEDS;
  let bytes = 0;
  let overflowed = 0;
  for (const seed of seeds) {
    const link = path(rttMs, loss, congestion, seed);
    const [start = 0] = link.measure(2_000);
    overflowed = link.counters.overflowed;
    const [rest = 0] = link.measure(SECONDS * 1000 - 2_000);
    bytes += start + rest;
  }
  return [bytes * 8 / SECONDS / 1e6 / seeds.length, overflowed];
}

console.log("RTT ms  loss %" + CONTROLS.map(([name]) => name.padStart(10)).join("") + "   Mbit/s");
for (const rttMs of ROUND_TRIPS_MS) {
  for (const loss of LOSSES) {
    const cells = CONTROLS.map(([, maker]) => run(rttMs, loss, maker));
    const figures = cells.map(([mbit]) => mbit.toFixed(2).padStart(10)).join("");
    const over = loss === 0
      ? `   overflowed at the start: ${cells.map(([, n]) => n).join(" ")}`
      : "";
    console.log(
      `${String(rttMs).padStart(6)}${(loss * 100).toFixed(1).padStart(8)}${figures}${over}`,
    );
  }
}

Deno.bench("path: one second of 100 Mbit/s at 50 ms, simulated", () => {
  path(50, 0, (mss) => new Cubic(mss), 1).runUntil(1_000);
});
