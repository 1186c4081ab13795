/**
 * What a run reports: the JSON of `--json`, and tables for people.
 *
 * @module
 */

import type { Machine } from "./host/machine.ts";
import { median, rounded } from "./percentiles.ts";

/** What can be measured. A key is there when it applies. */
export interface Figures {
  /** Payload that arrived, 10^6 bytes per second. */
  mb_s?: number;
  /** Median time of one operation, milliseconds. */
  p50_ms?: number;
  /** 99th percentile of the time of one operation, milliseconds. */
  p99_ms?: number;
  /** Operations per second. */
  ops_s?: number;
  /** Processor time of all processes of this contender in one round, seconds. */
  cpu_s?: number;
  /** The same for 10^9 bytes of payload. */
  cpu_s_per_gb?: number;
  /** Processor time as a share of one core, percent. */
  cpu_percent?: number;
  /** Most resident memory of any one process that carries the traffic (for ours: a daemon), 10^6 bytes. */
  rss_mb?: number;
  /** Processor time others took meanwhile, percent of the whole machine: above some 10 the speeds are too low. */
  others_percent?: number;
  /** Processor time of the beacon in one round of `ops_s`, seconds. */
  beacon_cpu_s?: number;
  /** Most resident memory of the rendezvous, 10^6 bytes. */
  beacon_rss_mb?: number;
  /** Share of the datagrams that arrived, 0..1. */
  delivered?: number;
  /** Share of the link, 0..1. */
  share?: number;
  /** Packets towards the receiver that the link lost by chance. */
  lost?: number;
  /** Packets towards the receiver that the full queue in front of the link dropped. */
  dropped?: number;
  /** Of two streams, the part of the larger, 0..1. */
  larger_share?: number;
  /** A stream's part beside one TCP stream that begins right after it, 0..1. */
  first_share?: number;
  /** The same beside one that begins right before. */
  second_share?: number;
  /** The smallest stream's part of an equal share, 0..1. */
  least_share?: number;
  /** Bytes moved. */
  bytes?: number;
  /** Time they took, seconds. */
  seconds?: number;
  /** 1 when the hash at the far end is the one of what was sent. */
  sha256_ok?: number;
  /** Signed registrations of new nodes per second, each on the disk before it was answered. */
  registrations_s?: number;
  /** Lookups per second. */
  lookups_s?: number;
  /** Signed resolves per second. */
  resolves_s?: number;
  /** Signed heartbeats per second. */
  heartbeats_s?: number;
  /** Resident memory that each node added to the registry, 10^3 bytes. */
  kb_per_node?: number;
  /** From `kill -9` to the first answer of the next process, seconds. */
  restart_s?: number;
  /** Files of the registry's store, 10^6 bytes. */
  db_mb?: number;
}

/** What a peer did. */
export interface PeerFigures extends Figures {
  /** Which version of the program, library or system was measured. */
  version: string;
}

/** One scenario. */
export interface ScenarioResult {
  /** Where the traffic went. */
  topology: string;
  /** Our figures: those of the first variant. */
  ours: Figures;
  /** The others of our variants. */
  variants?: Record<string, Figures>;
  /** The peers' figures. */
  peers: Record<string, PeerFigures>;
  /** Peers that could not be measured, and why. */
  skipped?: Record<string, string>;
  /** What one has to know to read the figures. */
  notes?: string[];
}

/** The whole run. */
export interface BenchReport {
  /** Where it ran. */
  machine: Machine;
  /** By name of the scenario. */
  scenarios: Record<string, ScenarioResult>;
  /** Scenarios that failed, and why. */
  failed?: Record<string, string>;
}

/** Per key the median over rounds; keys are kept in order. */
export function medianFigures(rounds: readonly Figures[]): Figures {
  const keys = new Set(rounds.flatMap((round) => Object.keys(round) as (keyof Figures)[]));
  const result: Figures = {};
  for (const key of keys) {
    const values = rounds.map((round) => round[key]).filter((value) => value !== undefined);
    result[key] = rounded(key === "rss_mb" ? Math.max(...values) : median(values));
  }
  return result;
}

/** Keys to compare by, the first that both have; and whether less is better. */
const COMPARED: readonly (readonly [keyof Figures, boolean])[] = [
  ["mb_s", false],
  ["p50_ms", true],
  ["ops_s", false],
  ["cpu_percent", true],
];

/**
 * Ours in relation to a peer, in words.
 *
 * @param ours Our figures.
 * @param peer Theirs.
 * @returns Such as `0.91 x MB/s`; empty when nothing compares.
 */
export function ratioText(ours: Figures, peer: Figures): string {
  for (const [key, lessIsBetter] of COMPARED) {
    const [mine, theirs] = [ours[key], peer[key]];
    if (mine === undefined || theirs === undefined || theirs === 0) continue;
    const less = lessIsBetter ? ", less is better" : "";
    return `ours ${Number((mine / theirs).toPrecision(3))} x (${HEADINGS[key]}${less})`;
  }
  return "";
}

const HEADINGS: Readonly<Record<keyof Figures, string>> = {
  mb_s: "MB/s",
  p50_ms: "p50 ms",
  p99_ms: "p99 ms",
  ops_s: "ops/s",
  cpu_s: "CPU s",
  cpu_s_per_gb: "CPU s/GB",
  cpu_percent: "CPU %",
  rss_mb: "RSS MB",
  others_percent: "others %",
  delivered: "delivered",
  beacon_cpu_s: "beacon CPU s",
  beacon_rss_mb: "beacon RSS MB",
  share: "share",
  lost: "lost",
  dropped: "dropped",
  larger_share: "larger of 2",
  first_share: "first, beside TCP",
  second_share: "second, beside TCP",
  least_share: "least/equal",
  bytes: "bytes",
  seconds: "s",
  sha256_ok: "SHA-256 ok",
  registrations_s: "registrations/s",
  lookups_s: "lookups/s",
  resolves_s: "resolves/s",
  heartbeats_s: "heartbeats/s",
  kb_per_node: "kB/node",
  restart_s: "restart s",
  db_mb: "store MB",
};

/**
 * A scenario as a table.
 *
 * @param name Its name.
 * @param result What came of it.
 * @returns Lines.
 */
export function table(name: string, result: ScenarioResult): string[] {
  const variants = Object.entries(result.variants ?? {});
  const peers = Object.entries(result.peers);
  const rows: [string, Figures, string][] = [
    ["ours", result.ours, ""],
    ...variants.map(([name, figures]): [string, Figures, string] => [
      `ours ${name}`,
      figures,
      ratioText(result.ours, figures),
    ]),
    ...peers.map(([name, figures]): [string, Figures, string] => [
      `${name} ${figures.version}`,
      figures,
      ratioText(result.ours, figures),
    ]),
  ];
  const keys = (Object.keys(HEADINGS) as (keyof Figures)[])
    .filter((key) => rows.some(([, figures]) => figures[key] !== undefined));
  const cells = [
    ["", ...keys.map((key) => HEADINGS[key]), ""],
    ...rows.map(([label, figures, ratio]) => [
      label,
      ...keys.map((key) => figures[key] === undefined ? "-" : String(figures[key])),
      ratio,
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    "  " +
    row.map((cell, column) =>
      column === 0 || column === row.length - 1
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!)
    ).join("  ").trimEnd()
  );
  return [
    `${name}: ${result.topology}`,
    ...lines,
    ...Object.entries(result.skipped ?? {}).map(([peer, why]) => `  ${peer}: skipped, ${why}`),
    ...(result.notes ?? []).map((note) => `  note: ${note}`),
  ];
}
