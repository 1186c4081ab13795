/**
 * `relay`: two agents that cannot reach each other, through the beacon.
 *
 * @module
 */

import { DEFAULT_VARIANT } from "../variants.ts";
import { checkPath, type PairOptions, type Rendezvous } from "../ends/ours.ts";
import { startUdpRelay } from "../ends/ends.ts";
import type { Figures } from "../bench_report.ts";
import { chosenPeers, compare } from "./compare.ts";
import { beaconSpeeds } from "./beacon_scenario.ts";
import { bulk, latency } from "./measures.ts";
import type { Scenario } from "./scenario.ts";

const ROUND_SECONDS = 1.5;
/** A stream that begins while the path is still being found out takes longer to get going. */
const WARM_UP_SECONDS = 1;
const PINGS = 200;
/** On loopback, where everybody can reach everybody: an endpoint where nobody answers. */
const NOWHERE = "127.0.0.1:9";

/** `relay`. */
export const relayScenario: Scenario = {
  about: "one stream and pings through the beacon",
  byDefault: true,
  async run(bench) {
    const { options } = bench;
    await using topology = await bench.topology({ kind: "split" });
    const setting = bench.setting(topology);
    await using stack = new AsyncDisposableStack();
    const length = { warmUpSeconds: WARM_UP_SECONDS, seconds: options.seconds ?? ROUND_SECONDS };
    const hide = async ({ beacon }: Rendezvous): Promise<Partial<PairOptions>> => {
      if (topology.isolated) return {};
      // Each daemon's datagrams to the beacon come from a socket that takes nothing from others.
      const to = { host: topology.hub.forA, port: beacon };
      const { program, routes } = await startUdpRelay(setting, [to, to]);
      stack.use(program);
      const [a, b] = routes.map(({ forA: { host, port } }) => `${host}:${port}`);
      return { beacons: [a!, b!], extraFlags: ["--endpoint", NOWHERE] };
    };
    const result = await compare(bench, {
      setting,
      peerSetting: { ...setting, udpRelay: true },
      topology: topology.description,
      variants: options.variants ?? [DEFAULT_VARIANT],
      peers: chosenPeers(bench, ["quic"]),
      pair: hide,
      check: (ends) => checkPath(ends, "relayed"),
      rounds: options.rounds,
      measure: async (ends): Promise<Figures> => ({
        ...await bulk(ends, { length, streams: 1, both: false }),
        ...await latency(ends, "ping", PINGS),
      }),
    });
    const note =
      "quic goes through a small UDP relay of the benchmark, which is not its match in " +
      "speed; neither relay is in the CPU seconds";
    const [portable, linux] = await beaconSpeeds(bench);
    return {
      ...result,
      ours: { ...result.ours, ...(linux ?? portable) },
      ...(linux === undefined ? {} : { variants: { ...result.variants, portable } }),
      notes: [
        ...result.notes ?? [],
        note,
        "ops_s: datagrams of 1,200 bytes through a beacon on loopback, sent and counted by one program with Linux " +
        `sockets${
          linux === undefined
            ? ""
            : "; ours is the beacon with the Linux socket, ours portable without"
        }`,
      ],
    };
  },
};
