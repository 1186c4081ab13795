/**
 * `fairness`: two streams on one link, and a stream beside TCP.
 *
 * @module
 */

import type { Ends } from "../ends/ends.ts";
import { oursEnds, startRendezvous } from "../ends/ours.ts";
import { quicEnds } from "../ends/quic.ts";
import { tcpEnds } from "../ends/tcp.ts";
import { Mode } from "../programs/modes.ts";
import { type Figures, medianFigures } from "../report.ts";
import { DEFAULT_VARIANT, variantFlags } from "../variants.ts";
import { chosenPeers } from "./compare.ts";
import { stop, window } from "./measures.ts";
import type { Scenario } from "./scenario.ts";

const RATE = 100e6;
/** What the queue in front of the link holds; the round trip is this when it is full. */
const QUEUE_MS = 50;
const WARM_UP_SECONDS = 3;
const ROUND_SECONDS = 6;

/** `fairness`. */
export const fairnessScenario: Scenario = {
  about: "two streams, and a stream beside TCP, on a 100 Mbit/s link",
  byDefault: false,
  async run(bench) {
    const { options } = bench;
    await using topology = await bench.topology({
      ...{ kind: "link", rate: RATE, queueMs: QUEUE_MS, forward: true },
    });
    if (!topology.isolated) throw new Error(`Needs network namespaces: ${topology.description}`);
    const setting = bench.setting(topology);
    await using stack = new AsyncDisposableStack();
    const rendezvous = stack.use(await startRendezvous(setting));
    const variant = options.variants?.[0] ?? DEFAULT_VARIANT;
    const pair = { name: "ours", flags: variantFlags(variant), rendezvous };
    const contenders: Ends[] = [stack.use(await oursEnds(setting, pair))];
    if (chosenPeers(bench, ["quic"]).length > 0) {
      contenders.push(stack.use(await quicEnds(setting)));
    }
    const tcp = stack.use(await tcpEnds(setting));
    const seconds = options.seconds ?? ROUND_SECONDS;
    const figures = new Map<string, Figures[]>();
    for (let round = 1; round <= options.rounds; round++) {
      for (const ends of contenders) {
        bench.say(`round ${round} of ${options.rounds}: ${ends.name}`);
        const list = figures.get(ends.name) ?? [];
        figures.set(ends.name, [
          ...list,
          { ...await twoStreams(ends, seconds), ...await besideTcp(ends, tcp, seconds) },
        ]);
      }
    }
    const median = (name: string) => medianFigures(figures.get(name)!);
    return {
      topology: `${topology.description}; ${RATE / 1e6} Mbit/s, queue of ${QUEUE_MS} ms`,
      ours: median("ours"),
      peers: figures.has("quic") ? { quic: median("quic") } : {},
      notes: [
        "MB/s and larger of 2: two streams alone on the link; share: one stream's part beside one TCP stream (CUBIC)",
        "no relay and no delay but the queue's, for TCP cannot go through the relay",
      ],
    };
  },
};

async function twoStreams(ends: Ends, seconds: number): Promise<Figures> {
  await ends.client.call("flood", { streams: 2, mode: Mode.Sink });
  await window(ends.server, WARM_UP_SECONDS);
  const result = await window(ends.server, seconds);
  await stop(ends);
  const whole = result.streams.reduce((sum, bytes) => sum + bytes, 0);
  return {
    mb_s: result.bytes / 1e6 / result.seconds,
    larger_share: Math.max(...result.streams) / whole,
  };
}

async function besideTcp(ends: Ends, tcp: Ends, seconds: number): Promise<Figures> {
  const both = [ends, tcp];
  await Promise.all(
    both.map(({ client }) => client.call("flood", { streams: 1, mode: Mode.Sink })),
  );
  await Promise.all(both.map(({ server }) => window(server, WARM_UP_SECONDS)));
  const [mine, theirs] = await Promise.all(both.map(({ server }) => window(server, seconds)));
  await Promise.all(both.map(stop));
  return { share: mine!.bytes / (mine!.bytes + theirs!.bytes) };
}
