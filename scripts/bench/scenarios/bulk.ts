/**
 * Bulk transfer: one direction, both, many streams; over an emulated link.
 *
 * @module
 */

import { DEFAULT_VARIANT } from "../variants.ts";
import { checkPath } from "../ends/ours.ts";
import { EmulatedLink } from "../host/link.ts";
import { describeLink, type LinkSpec } from "../host/link_spec.ts";
import { tcpNote, type Topology } from "../host/topology.ts";
import type { ScenarioResult } from "../bench_report.ts";
import { rounded } from "../percentiles.ts";
import { hashed } from "./hashed.ts";
import { chosenPeers, compare } from "./compare.ts";
import { bulk } from "./measures.ts";
import type { Bench, Scenario } from "./scenario.ts";

const PEERS = ["quic", "wireguard-go", "nebula", "tcp"];
/** With three rounds of six contenders, setting up included, `bulk` stays about a minute. */
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
  const { options, signal } = bench;
  await using topology: Topology = await bench.topology({
    kind: "link",
    rate: link.rate,
    queueMs: Math.max(link.rttMs, MIN_QUEUE_MS),
  });
  await using emulated = await EmulatedLink.start(topology, link, signal);
  const length = {
    warmUpSeconds: LINK_WARM_UP_SECONDS,
    seconds: options.seconds ?? LINK_ROUND_SECONDS,
  };
  const result = await compare(bench, {
    setting: bench.setting(topology),
    topology: `${topology.description}; ${describeLink(link)}`,
    variants: options.variants ?? [DEFAULT_VARIANT],
    peers: chosenPeers(bench, PEERS),
    rounds: Math.min(options.rounds, LINK_ROUNDS),
    check: (ends) => checkPath(ends, "direct"),
    measure: async (ends) => {
      const before = await emulated.traffic();
      const figures = await bulk(ends, { length, streams: 1, both: false });
      const { bytes, lost, dropped, overrun } = await emulated.traffic();
      if (bytes - before.bytes < figures.mb_s! * figures.seconds! * 1e6) {
        throw new Error(`${ends.name}: less went over the emulated link than arrived`);
      }
      if (overrun > before.overrun) {
        throw new Error(`${ends.name}: faster than the emulation of the link`);
      }
      return { ...figures, lost: lost - before.lost, dropped: dropped - before.dropped };
    },
  });
  for (const figures of [result.ours, ...Object.values(result.peers)]) {
    if (link.rate !== undefined) figures.share = rounded(figures.mb_s! * 8e6 / link.rate);
  }
  const notes =
    `lost and dropped count packets, those of the ${LINK_WARM_UP_SECONDS} s before included`;
  return { ...result, notes: [...result.notes ?? [], notes, tcpNote(topology)] };
}

/** Least queue in front of the limited rate, milliseconds; else it holds one round trip. */
const MIN_QUEUE_MS = 20;
