/**
 * How many datagrams a second the beacon relays, with each form of its socket.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import type { UdpKind } from "../../../platform/settings/mod.ts";
import { Program } from "../host/child_program.ts";
import { cpuSeconds, peakMb } from "../host/usage.ts";
import type { RelayLoadConfig } from "../programs/relay_load.ts";
import { type Figures, medianFigures } from "../bench_report.ts";
import { rounded } from "../percentiles.ts";
import type { Bench } from "./scenario.ts";

const CLI = fileURLToPath(new URL("../../../cli.ts", import.meta.url));
const LOAD_PROGRAM = fileURLToPath(new URL("../programs/relay_load.ts", import.meta.url));
const HOST = "127.0.0.1";
/** As much as a 1500-byte path carries comfortably: what daemons relay. */
const BYTES = 1_200;
const PAIRS = 4;
/** Datagrams under way in each direction of a pair: all together fit the 208 KB that sockets buffer by default. */
const WINDOW = 16;
const WARM_UP_MS = 500;
const ROUND_MS = 2_000;
/** All come from one address here, which the beacon would slow down. */
const RELAY_RATE = "100000000000";

/** Figures with the portable socket and, where it works, the one of Linux. The two take turns. */
export async function beaconSpeeds(bench: Bench): Promise<[Figures, Figures | undefined]> {
  const kinds: UdpKind[] = linuxSocketProblem() === "" ? ["portable", "linux"] : ["portable"];
  await using stack = new AsyncDisposableStack();
  const beacons: { server: Program; load: Program; rounds: Figures[] }[] = [];
  for (const kind of kinds) {
    const server = stack.use(await startServer(bench, kind));
    const port = Number(String(server.ready.beacon).split(":").at(-1));
    const config = { port, pairs: PAIRS, bytes: BYTES, window: WINDOW };
    beacons.push({ server, load: stack.use(await startLoad(bench, config)), rounds: [] });
  }
  for (let round = 0; round < bench.options.rounds; round++) {
    for (const { server, load, rounds } of beacons) rounds.push(await measure(server, load));
  }
  const [portable, linux] = beacons.map(({ rounds }) => medianFigures(rounds));
  return [portable!, linux];
}

async function measure(server: Program, load: Program): Promise<Figures> {
  const before = await cpuSeconds([server.pid]);
  const { count, lost, seconds } = await load.call("run", { warmUpMs: WARM_UP_MS, ms: ROUND_MS });
  const after = await cpuSeconds([server.pid]);
  const rss_mb = await peakMb([server.pid]);
  const arrived = Number(count);
  return {
    ops_s: rounded(arrived / Number(seconds)),
    delivered: rounded(arrived / (arrived + Number(lost))),
    ...(before === undefined || after === undefined
      ? {}
      : { beacon_cpu_s: rounded(after - before) }),
    ...(rss_mb === undefined ? {} : { beacon_rss_mb: rounded(rss_mb) }),
  };
}

function startServer(bench: Bench, kind: UdpKind): Promise<Program> {
  return Program.start({
    name: `beacon, ${kind} socket`,
    place: bench.loopback().hub.place,
    args: [
      ...["run", "--quiet", "-A", CLI, "rendezvous", "--memory", "--json", "--udp", kind],
      ...["--registry-addr", `${HOST}:0`, "--beacon-addr", `${HOST}:0`, "--relay-rate", RELAY_RATE],
    ],
    signal: bench.signal,
  });
}

function startLoad(bench: Bench, config: RelayLoadConfig): Promise<Program> {
  return Program.start({
    name: "relay load",
    place: bench.loopback().a,
    args: ["run", "--quiet", "-A", LOAD_PROGRAM, JSON.stringify(config)],
    signal: bench.signal,
  });
}
