/**
 * `idle`: what a daemon costs that has many trusted peers connected and nothing to do.
 *
 * @module
 */

import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ends, metered } from "../ends/ends.ts";
import { startLoneDaemon, startRendezvous } from "../ends/ours.ts";
import { quicEnds } from "../ends/quic.ts";
import { Program } from "../host/child_program.ts";
import { residentMb } from "../host/usage.ts";
import type { IdlePeersConfig } from "../programs/idle_peers.ts";
import { type Figures, medianFigures, type ScenarioResult } from "../bench_report.ts";
import { DEFAULT_VARIANT, variantFlags } from "../variants.ts";
import { chosenPeers, ofPeer } from "./compare.ts";
import type { Bench, Scenario } from "./scenario.ts";

const PEERS_PROGRAM = fileURLToPath(new URL("../programs/idle_peers.ts", import.meta.url));
/** How long nothing is done, seconds: as long as the longest interval of keepalives takes to show. */
const IDLE_SECONDS = 30;
/** What the coming up left to do, seconds. */
const SETTLE_SECONDS = 3;
/** Longest wait until all are connected, milliseconds. */
const CONNECT_MS = 120_000;

/** `idle`. */
export const idleScenario: Scenario = {
  about: "a daemon with 100 trusted peers connected and nothing to do",
  byDefault: true,
  async run(bench) {
    const { idlePeers } = bench.options;
    const topology = bench.loopback();
    const ours = await oursIdle(bench);
    const peers: ScenarioResult["peers"] = {};
    if (chosenPeers(bench, ["quic"]).length > 0) {
      await using ends = await quicEnds(bench.setting(topology));
      await ends.client.call("hold", { count: idlePeers });
      peers.quic = ofPeer(ends, await idle(bench, ends.server.pid));
    }
    return {
      topology: topology.description,
      ours,
      peers,
      notes: [
        `ours: one daemon process; its ${idlePeers} peers are real daemons (own keys, sockets, registrations) ` +
        "that share one other process",
        `quic: a server with ${idlePeers} connections, keep-alive every 10 s`,
        "RSS is what is resident at the end",
      ],
    };
  },
};

async function oursIdle(bench: Bench): Promise<Figures> {
  const setting = bench.setting(bench.loopback());
  const { topology, directory, signal } = setting;
  await using rendezvous = await startRendezvous(setting);
  const name = bench.options.variants?.[0] ?? DEFAULT_VARIANT;
  const flags = [...variantFlags(name), "--trust-auto-approve", "--public"];
  await using daemon = await startLoneDaemon(setting, { name, flags, rendezvous });
  const config: IdlePeersConfig = {
    count: bench.options.idlePeers,
    directory: await mkdtemp(join(directory, "p-")),
    registry: `${topology.hub.forA}:${rendezvous.registry}`,
    beacon: `${topology.hub.forA}:${rendezvous.beacon}`,
    target: daemon.address,
  };
  bench.say(`connecting ${config.count} peers`);
  await using _peers = await Program.start({
    name: "idle peers",
    place: topology.a,
    args: ["run", "--quiet", "-A", PEERS_PROGRAM, JSON.stringify(config)],
    readyMs: CONNECT_MS,
    signal,
  });
  await using driver = await daemon.connect();
  const { encrypted_peers: connected } = await driver.info();
  if (connected !== config.count) {
    throw new Error(`${connected} of ${config.count} peers are connected`);
  }
  return await idle(bench, daemon.pid);
}

async function idle(bench: Bench, pid: number): Promise<Figures> {
  const seconds = bench.options.seconds ?? IDLE_SECONDS;
  bench.say(`${seconds} s of nothing`);
  await pause(SETTLE_SECONDS, bench.signal);
  const ends: Pick<Ends, "pids" | "carriers"> = { pids: [pid], carriers: [] };
  const figures = await metered(ends, async () => {
    await pause(seconds, bench.signal);
    return { seconds };
  });
  const [rss] = Deno.build.os === "linux" ? await residentMb([pid]) : [];
  return medianFigures([{
    ...figures,
    ...(rss === undefined ? {} : { rss_mb: rss }),
    ...(figures.cpu_s === undefined ? {} : { cpu_percent: figures.cpu_s / seconds * 100 }),
  }]);
}

/** Waits; gives up with the run. */
async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(done.resolve, seconds * 1000);
  const onAbort = () => done.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    await done.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
