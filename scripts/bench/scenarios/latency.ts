/**
 * Times of single operations: `echo`, `ping`, `dial`, and unreliable messages.
 *
 * @module
 */

import type { Ends } from "../ends/ends.ts";
import type { Figures } from "../bench_report.ts";
import { DEFAULT_VARIANT } from "../variants.ts";
import { chosenPeers, compare } from "./compare.ts";
import { datagrams, echo, latency } from "./measures.ts";
import type { Bench, Scenario } from "./scenario.ts";

const ROUND_SECONDS = 1;
const WARM_UP_SECONDS = 0.3;
/** Round trips of a round. */
const PINGS = 1_000;
/** Dials of a round: with three rounds below the burst of connections a daemon takes from one peer. */
const DIALS = 150;
/** Operations that nobody counts before the first round: the code is compiled by then. */
const WARM_UP_PINGS = 500;
const WARM_UP_DIALS = 200;
/** A message that fits any path. */
const MESSAGE_BYTES = 1_000;

function onLoopback(
  about: string,
  { peers, measure, notes, warmUp }: {
    peers: readonly string[];
    measure: (ends: Ends, bench: Bench) => Promise<Figures>;
    notes: readonly string[];
    warmUp?: (ends: Ends) => Promise<unknown>;
  },
): Scenario {
  return {
    about,
    byDefault: true,
    async run(bench) {
      const topology = bench.loopback();
      const warm = new Set<Ends>();
      const result = await compare(bench, {
        setting: bench.setting(topology),
        topology: topology.description,
        variants: bench.options.variants ?? [DEFAULT_VARIANT],
        peers: chosenPeers(bench, peers),
        rounds: bench.options.rounds,
        measure: async (ends) => {
          if (!warm.has(ends)) await warmUp?.(ends);
          warm.add(ends);
          return await measure(ends, bench);
        },
      });
      return { ...result, notes: [...result.notes ?? [], ...notes] };
    },
  };
}

function lengthOf({ options }: Bench) {
  return { warmUpSeconds: WARM_UP_SECONDS, seconds: options.seconds ?? ROUND_SECONDS };
}

/** `echo`. */
export const echoScenario: Scenario = onLoopback("one stream through an echo port and back", {
  peers: ["quic", "tcp"],
  measure: (ends, bench) => echo(ends, { length: lengthOf(bench), count: PINGS }),
  notes: [
    "MB/s counts what came back; the times are of 64 bytes there and back",
    "ours uses the daemon's echo port (7), the peers an echo in the measuring program",
  ],
});

/** `ping`. */
export const pingScenario: Scenario = onLoopback("round trip over what is already open", {
  peers: ["quic", "tcp"],
  measure: (ends) => latency(ends, "ping", PINGS),
  warmUp: (ends) => ends.client.call("ping", { count: WARM_UP_PINGS }),
  notes: ["ours is the daemon's ping; the peers send 64 bytes there and back on an open stream"],
});

/** `dial`. */
export const dialScenario: Scenario = onLoopback("opening a stream to a known peer", {
  peers: ["quic", "tcp"],
  measure: (ends) => latency(ends, "dial", DIALS),
  warmUp: (ends) => ends.client.call("dial", { count: WARM_UP_DIALS }),
  notes: [
    "ours and tcp: until the far end has accepted; quic: a stream on an open connection and one byte there and back",
  ],
});

/** `datagram`. */
export const datagramScenario: Scenario = onLoopback("messages that may be lost", {
  peers: ["quic"],
  measure: (ends, bench) =>
    datagrams(ends, { length: lengthOf(bench), bytes: MESSAGE_BYTES, count: PINGS }),
  notes: [
    `${MESSAGE_BYTES} bytes each, 32 under way; the times are of 64 bytes there and back`,
    "ours goes from app to app through two daemons; quic is in the apps",
  ],
});
