/**
 * `first-contact`: the first stream between two agents that trust each other and have no tunnel.
 *
 * @module
 */

import type { PeerEnds, Setting } from "../ends/ends.ts";
import { type Pair, startPair, startRendezvous } from "../ends/ours.ts";
import { quicEnds } from "../ends/quic.ts";
import { tcpEnds } from "../ends/tcp.ts";
import { PORT_ECHO } from "../../../protocol/well_known_ports.ts";
import type { Figures, PeerFigures, ScenarioResult } from "../bench_report.ts";
import { percentile, rounded } from "../percentiles.ts";
import { DEFAULT_VARIANT, variantFlags } from "../variants.ts";
import { chosenPeers, ofPeer } from "./compare.ts";
import type { Scenario } from "./scenario.ts";

/** Contacts in a round. */
const CONTACTS = 3;

/** `first-contact`. */
export const firstContactScenario: Scenario = {
  about: "first stream between trusted agents, no tunnel yet",
  byDefault: true,
  async run(bench) {
    const topology = bench.loopback();
    const setting = bench.setting(topology);
    const count = CONTACTS * bench.options.rounds;
    await using rendezvous = await startRendezvous(setting);
    const name = bench.options.variants?.[0] ?? DEFAULT_VARIANT;
    await using pair = await startPair(setting, { name, flags: variantFlags(name), rendezvous });
    let early = 0;
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      bench.say(`restart ${i + 1} of ${count}`);
      const { ms, hadTunnel } = await firstContact(pair);
      times.push(ms);
      if (hadTunnel) early++;
    }
    const notes = [
      "ours: both daemons restarted before each; from dial to the first byte back from the echo port",
      "quic: a new connection with its TLS handshake; tcp: connect; both until the first byte is back",
    ];
    if (early > 0) {
      notes.push(`ours: ${early} of ${count} times the daemons had a tunnel before anybody asked`);
    }
    const result: ScenarioResult = {
      topology: topology.description,
      ours: summary(times),
      peers: {},
      notes,
    };
    for (const peer of chosenPeers(bench, ["quic", "tcp"])) {
      result.peers[peer] = await peerContacts(peer === "quic" ? quicEnds : tcpEnds, setting, count);
    }
    return result;
  },
};

async function firstContact({ a, b }: Pair): Promise<{ ms: number; hadTunnel: boolean }> {
  await b.restart();
  await a.restart();
  await using driver = await a.connect();
  const { encrypted_peers: tunnels } = await driver.info();
  const started = performance.now();
  await using conn = await driver.dial(b.address, PORT_ECHO);
  await conn.write("!");
  await conn.read();
  return { ms: performance.now() - started, hadTunnel: Number(tunnels) > 0 };
}

async function peerContacts(
  start: (setting: Setting) => Promise<PeerEnds>,
  setting: Setting,
  count: number,
): Promise<PeerFigures> {
  await using ends = await start(setting);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    times.push(...(await ends.client.call("first")).times as number[]);
  }
  return ofPeer(ends, summary(times));
}

function summary(times: readonly number[]): Figures {
  return { p50_ms: rounded(percentile(times, 0.5)), p99_ms: rounded(percentile(times, 0.99)) };
}
