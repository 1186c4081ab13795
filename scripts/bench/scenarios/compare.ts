/**
 * Measures ours beside its peers: all are set up, then take turns, so that what slows the machine slows all of them.
 *
 * @module
 */

import type { Ends, PeerEnds, Setting } from "../ends/ends.ts";
import { nebulaEnds } from "../ends/nebula.ts";
import { oursEnds, type PairOptions, type Rendezvous, startRendezvous } from "../ends/ours.ts";
import { quicEnds } from "../ends/quic.ts";
import { tcpEnds } from "../ends/tcp.ts";
import { wireguardEnds } from "../ends/wireguard.ts";
import {
  type Figures,
  medianFigures,
  type PeerFigures,
  type ScenarioResult,
} from "../bench_report.ts";
import { variantFlags } from "../variants.ts";
import type { Bench } from "./scenario.ts";

/** Peers by name. */
const PEERS: Readonly<Record<string, (setting: Setting) => Promise<PeerEnds>>> = {
  quic: quicEnds,
  tcp: (setting) => tcpEnds(setting),
  "wireguard-go": wireguardEnds,
  nebula: nebulaEnds,
};

/** What to compare. */
export interface Comparison {
  /** Where. */
  readonly setting: Setting;
  /** Where the peers are, when not at the same places. */
  readonly peerSetting?: Setting;
  /** In words. */
  readonly topology: string;
  /** Our variants; the first one's figures are "ours". */
  readonly variants: readonly string[];
  /** Names of the peers. */
  readonly peers: readonly string[];
  /** Why some of the peers do not apply. */
  readonly skipped?: Readonly<Record<string, string>>;
  /** More for our daemons. */
  readonly pair?: (rendezvous: Rendezvous) => Promise<Partial<PairOptions>>;
  /** Rounds. */
  readonly rounds: number;
  /** One round of one contender. */
  readonly measure: (ends: Ends) => Promise<Figures>;
  /** Checks ours before anything is measured. */
  readonly check?: (ends: Awaited<ReturnType<typeof oursEnds>>) => Promise<void>;
}

/**
 * Runs a comparison.
 *
 * @param bench The run.
 * @param comparison See {@linkcode Comparison}.
 * @returns Medians over the rounds.
 * @throws {Error} When one of ours fails; peers that fail are reported as skipped.
 */
export async function compare(bench: Bench, comparison: Comparison): Promise<ScenarioResult> {
  const { setting, variants } = comparison;
  const skipped: Record<string, string> = { ...comparison.skipped };
  const failed = (name: string, error: unknown) => {
    bench.signal.throwIfAborted();
    skipped[name] = error instanceof Error ? error.message : String(error);
  };
  await using stack = new AsyncDisposableStack();
  const rendezvous = stack.use(await startRendezvous(setting));
  const ours: Ends[] = [];
  for (const name of variants) {
    const flags = variantFlags(name);
    const ends = await oursEnds(setting, {
      ...{ name, flags, rendezvous },
      ...await comparison.pair?.(rendezvous),
    });
    ours.push(stack.use(ends));
    await comparison.check?.(ends);
  }
  const peers: PeerEnds[] = [];
  for (const name of comparison.peers) {
    if (skipped[name] !== undefined) continue;
    const peerSetting = comparison.peerSetting ?? setting;
    try {
      bench.say(`setting up ${name}`);
      peers.push(stack.use(await PEERS[name]!(peerSetting)));
    } catch (error) {
      failed(name, error);
    }
  }
  const figures = new Map<Ends, Figures[]>([...ours, ...peers].map((ends) => [ends, []]));
  for (let round = 1; round <= comparison.rounds; round++) {
    for (const [ends, list] of figures) {
      bench.say(`round ${round} of ${comparison.rounds}: ${ends.name}`);
      try {
        list.push(await comparison.measure(ends));
      } catch (error) {
        if (ours.includes(ends)) throw withObituaries(error, ends);
        failed(ends.name, error);
        figures.delete(ends);
      }
    }
  }
  const [first, ...others] = ours.map((ends) =>
    [ends.name, medianFigures(figures.get(ends)!)] as const
  );
  const measured = peers.filter((ends) => figures.has(ends));
  const notes = [
    ...ours.map(({ name, detail }) => `ours ${name}: ${detail}`),
    ...measured.filter(({ detail }) => detail !== undefined)
      .map(({ name, detail }) => `${name}: ${detail}`),
  ];
  return {
    topology: comparison.topology,
    ours: first![1],
    ...(others.length === 0 ? {} : { variants: Object.fromEntries(others) }),
    peers: Object.fromEntries(
      measured.map((ends) => [ends.name, ofPeer(ends, medianFigures(figures.get(ends)!))]),
    ),
    ...(Object.keys(skipped).length === 0 ? {} : { skipped }),
    notes,
  };
}

/** Figures of a peer, with what it is. */
export function ofPeer({ version }: PeerEnds, figures: Figures): PeerFigures {
  return { version, ...figures };
}

/** A process that has ended says more than what came of that. */
function withObituaries(error: unknown, ends: Ends): unknown {
  const texts = ends.obituaries?.() ?? [];
  return texts.length === 0 ? error : new Error(texts.join("\n"), { cause: error });
}

/** The peers of a scenario that the command line leaves. */
export function chosenPeers(bench: Bench, names: readonly string[]): string[] {
  return names.filter((name) => bench.options.peers?.includes(name) ?? true);
}
