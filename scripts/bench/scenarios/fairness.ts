/**
 * `fairness`: two streams on one link, and a stream beside TCP.
 *
 * @module
 */

import type { Ends, PeerEnds } from "../ends/ends.ts";
import { checkPath, oursEnds, startRendezvous } from "../ends/ours.ts";
import { quicEnds } from "../ends/quic.ts";
import { tcpEnds } from "../ends/tcp.ts";
import { EmulatedLink } from "../host/link.ts";
import { describeLink, type LinkSpec } from "../host/link_spec.ts";
import { tcpNote } from "../host/topology.ts";
import { Mode } from "../programs/modes.ts";
import type { Figures, ScenarioResult } from "../bench_report.ts";
import { rounded } from "../percentiles.ts";
import { DEFAULT_VARIANT, variantFlags } from "../variants.ts";
import { chosenPeers, ofPeer } from "./compare.ts";
import { stop, window } from "./measures.ts";
import type { Bench, Scenario } from "./scenario.ts";

const LINK: LinkSpec = { rate: 100e6, rttMs: 50, loss: 0 };
/** What the queue in front of the link holds, milliseconds: one round trip, as is usual. */
const QUEUE_MS = 50;
/** Not measured after both have begun. */
const WARM_UP_SECONDS = 5;
/** Several cycles of a CUBIC stream, which take about eight seconds at this speed. */
const ROUND_SECONDS = 30;

/** `fairness`. */
export const fairnessScenario: Scenario = {
  about: "two streams, and a stream beside TCP, on a 100 Mbit/s link of 50 ms",
  byDefault: false,
  isLong: true,
  async run(bench) {
    await using topology = await bench.topology({
      ...{ kind: "link", rate: LINK.rate, queueMs: QUEUE_MS },
    });
    await using _link = await EmulatedLink.start(topology, LINK, bench.signal);
    const setting = bench.setting(topology);
    await using stack = new AsyncDisposableStack();
    const rendezvous = stack.use(await startRendezvous(setting));
    const variant = bench.options.variants?.[0] ?? DEFAULT_VARIANT;
    const pair = { name: "ours", flags: variantFlags(variant), rendezvous };
    const ours = stack.use(await oursEnds(setting, pair));
    await checkPath(ours, "direct");
    const peers = chosenPeers(bench, ["quic", "tcp"]);
    const contenders: PeerEnds[] = [];
    if (peers.includes("quic")) contenders.push(stack.use(await quicEnds(setting)));
    if (peers.includes("tcp")) contenders.push(stack.use(await tcpEnds(setting)));
    const rival = stack.use(await tcpEnds(setting, { name: "tcp rival" }));
    const result: Pick<ScenarioResult, "ours" | "peers"> = {
      ours: await measure(bench, ours, rival),
      peers: {},
    };
    for (const ends of contenders) {
      result.peers[ends.name] = ofPeer(ends, await measure(bench, ends, rival));
    }
    return {
      topology: `${topology.description}; ${describeLink(LINK)}, queue of ${QUEUE_MS} ms`,
      ...result,
      notes: [
        "MB/s and larger of 2: two streams that begin together; the shares: one stream beside one TCP stream that begins " +
        "right after it, and right before it",
        tcpNote(topology),
      ],
    };
  },
};

async function measure(bench: Bench, ends: Ends, rival: Ends): Promise<Figures> {
  const seconds = bench.options.seconds ?? ROUND_SECONDS;
  bench.say(`${ends.name}: two streams`);
  const two = await twoStreams(ends, seconds);
  bench.say(`${ends.name}: beside TCP, first`);
  const first = await beside(ends, rival, seconds);
  bench.say(`${ends.name}: beside TCP, second`);
  const second = 1 - await beside(rival, ends, seconds);
  return { ...two, first_share: rounded(first), second_share: rounded(second) };
}

async function twoStreams(ends: Ends, seconds: number): Promise<Figures> {
  await ends.client.call("flood", { streams: 2, mode: Mode.Sink });
  await window(ends.server, WARM_UP_SECONDS);
  const result = await window(ends.server, seconds);
  await stop(ends);
  const whole = result.streams.reduce((sum, bytes) => sum + bytes, 0);
  return {
    mb_s: rounded(result.bytes / 1e6 / result.seconds),
    larger_share: rounded(Math.max(...result.streams) / whole),
  };
}

/** The part of the one that begins first. */
async function beside(first: Ends, second: Ends, seconds: number): Promise<number> {
  await first.client.call("flood", { streams: 1, mode: Mode.Sink });
  await second.client.call("flood", { streams: 1, mode: Mode.Sink });
  const both = [first, second];
  await window(first.server, WARM_UP_SECONDS);
  const [mine, theirs] = await Promise.all(both.map(({ server }) => window(server, seconds)));
  await Promise.all(both.map(stop));
  return mine!.bytes / (mine!.bytes + theirs!.bytes);
}
