/**
 * Bulk transfer: one direction, both, many streams; over an emulated link.
 *
 * @module
 */

import { DEFAULT_VARIANT } from "../variants.ts";
import { describeLink, type LinkSpec } from "../host/link_spec.ts";
import type { Topology } from "../host/topology.ts";
import type { ScenarioResult } from "../report.ts";
import { rounded } from "../stats.ts";
import { hashed } from "./hashed.ts";
import { chosenPeers, compare } from "./compare.ts";
import { bulk } from "./measures.ts";
import type { Bench, Scenario } from "./scenario.ts";

const PEERS = ["quic", "wireguard-go", "tcp"];
/** With three rounds of five contenders, setting up included, `bulk` stays below 60 s. */
const ROUND_SECONDS = 1.5;
const WARM_UP_SECONDS = 0.6;
/** Over a link with a delay it takes several round trips to find its speed. */
const LINK_ROUND_SECONDS = 8;
const LINK_WARM_UP_SECONDS = 4;
/** One round is as long as five of the others. */
const LINK_ROUNDS = 1;

function plain(
  about: string,
  { streams, both, variants }: { streams: number; both: boolean; variants: readonly string[] },
): Scenario {
  return {
    about,
    byDefault: true,
    async run(bench) {
      const { options } = bench;
      if (options.bytes !== undefined) return await hashed(bench, options.bytes);
      if (options.link !== undefined) return await linked(bench, options.link);
      await using topology = await bench.topology({ kind: "direct" });
      const length = {
        warmUpSeconds: WARM_UP_SECONDS,
        seconds: options.seconds ?? ROUND_SECONDS,
      };
      return await compare(bench, {
        setting: bench.setting(topology),
        topology: topology.description,
        variants: options.variants ?? variants,
        peers: chosenPeers(bench, PEERS),
        rounds: options.rounds,
        measure: (ends) => bulk(ends, { length, streams, both }),
      });
    },
  };
}

/** `bulk`. */
export const bulkScenario: Scenario = plain("one stream, one direction", {
  streams: 1,
  both: false,
  variants: [DEFAULT_VARIANT, "portable"],
});

/** `bulk-both`. */
export const bulkBothScenario: Scenario = plain("one stream, both directions at once", {
  streams: 1,
  both: true,
  variants: [DEFAULT_VARIANT],
});

/** `many-streams`. */
export const manyStreamsScenario: Scenario = plain("100 streams, one direction", {
  streams: 100,
  both: false,
  variants: [DEFAULT_VARIANT],
});

async function linked(bench: Bench, link: LinkSpec): Promise<ScenarioResult> {
  const { options } = bench;
  // Without delay and loss there is nothing for the relay to do: all go straight, TCP too.
  const relayed = link.rttMs > 0 || link.loss > 0;
  await using topology: Topology = await bench.topology({
    kind: "link",
    rate: link.rate,
    queueMs: Math.max(link.rttMs, MIN_QUEUE_MS),
    forward: !relayed,
  });
  if (!topology.isolated && link.rate !== undefined) {
    throw new Error(`A rate needs network namespaces; this is ${topology.description}`);
  }
  const length = {
    warmUpSeconds: LINK_WARM_UP_SECONDS,
    seconds: options.seconds ?? LINK_ROUND_SECONDS,
  };
  const result = await compare(bench, {
    setting: bench.setting(topology, relayed ? link : undefined),
    topology: `${topology.description}; ${describeLink(link)}`,
    variants: options.variants ?? [DEFAULT_VARIANT],
    peers: chosenPeers(bench, PEERS),
    skipped: relayed ? { tcp: "the relay that delays and loses takes UDP only" } : {},
    rounds: Math.min(options.rounds, LINK_ROUNDS),
    measure: (ends) => bulk(ends, { length, streams: 1, both: false }),
  });
  for (const figures of [result.ours, ...Object.values(result.peers)]) {
    if (link.rate !== undefined) figures.share = rounded(figures.mb_s! * 8e6 / link.rate);
  }
  return result;
}

/** Least queue in front of the limited rate, milliseconds; else it holds one round trip. */
const MIN_QUEUE_MS = 20;
