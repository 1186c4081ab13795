/**
 * The command line of `deno task bench`.
 *
 * @module
 */

import { type LinkSpec, parseLink } from "./host/link_spec.ts";
import { VARIANTS } from "./variants.ts";

/** All options of a run. */
export interface BenchOptions {
  /** Scenarios in the order given; empty means all that run by default. */
  readonly scenarios: readonly string[];
  /** Where the JSON report goes. */
  readonly json: string | undefined;
  /** Loopback even where network namespaces could be made. */
  readonly loopback: boolean;
  /** Variants of our daemon; undefined leaves it to the scenario. */
  readonly variants: readonly string[] | undefined;
  /** Peers to measure beside ours; undefined means all of the scenario. */
  readonly peers: readonly string[] | undefined;
  /** Rounds per contender. */
  readonly rounds: number;
  /** Length of one measured round, seconds; undefined leaves it to the scenario. */
  readonly seconds: number | undefined;
  /** `bulk` with an emulated link in the path. */
  readonly link: LinkSpec | undefined;
  /** `bulk` of exactly so many bytes, hashed at both ends. */
  readonly bytes: number | undefined;
  /** Peers of `idle`. */
  readonly idlePeers: number;
  /** Nodes of `registry`. */
  readonly nodes: number;
  /** Packages may be installed, Go modules built. */
  readonly install: boolean;
}

/** A command line that cannot be followed; the message says why. */
export class UsageError extends Error {}

/** Peers a run can be limited to. */
export const PEER_NAMES: readonly string[] = ["quic", "wireguard-go", "nebula", "tcp"];
/** Rounds when none are given: an odd number has a middle one. */
const DEFAULT_ROUNDS = 3;
/** Peers of `idle` when none are given. */
const DEFAULT_IDLE_PEERS = 100;
const MAX_IDLE_PEERS = 1_000;
/** Nodes of `registry` when none are given. */
const DEFAULT_NODES = 250_000;
/** Enough for every phase to mean something. */
const MIN_NODES = 100;
/** A registry takes a million, and some more register while it is killed. */
const MAX_NODES = 900_000;

/** What `--help` prints. */
export const USAGE = `Usage: deno task bench [options] [scenario...]

Options:
  --json FILE             Write the report to FILE
  --variant NAME[,NAME]   Our daemon as: ${Object.keys(VARIANTS).join(", ")} (default: by scenario)
  --peers NAME[,NAME]     Only these beside ours: ${PEER_NAMES.join(", ")}, or none
  --rounds N              Rounds per contender, the median is reported (${DEFAULT_ROUNDS})
  --seconds S             Length of one measured round
  --link RATE,RTT,LOSS    bulk over an emulated link: 100mbit,50ms,1% (rate - for none; RTT is halved for each
                          direction; LOSS applies to each direction)
  --bytes N               bulk of N bytes (1e9), SHA-256 at both ends, memory of both daemons sampled
  --idle-peers N          Peers of idle (${DEFAULT_IDLE_PEERS})
  --nodes N               Nodes of registry (${DEFAULT_NODES})
  --loopback              No network namespaces, even as root
  --no-install            Never install Debian packages, never build Go modules
  --help                  This text
`;

/**
 * Reads the command line.
 *
 * @param args The arguments.
 * @param known Names of all scenarios.
 * @returns The options, or undefined when help was asked for.
 * @throws {UsageError} Says what is wrong.
 */
export function parseArgs(
  args: readonly string[],
  known: readonly string[],
): BenchOptions | undefined {
  const scenarios: string[] = [];
  const values = new Map<string, string>();
  const flags = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const [name, inline] = splitOption(arg);
    if (!arg.startsWith("-")) {
      if (!known.includes(arg)) {
        throw new UsageError(`Unknown scenario: ${arg} (known: ${known.join(", ")})`);
      }
      if (!scenarios.includes(arg)) scenarios.push(arg);
    } else if (FLAGS.includes(arg)) {
      flags.add(arg);
    } else if (VALUES.includes(name)) {
      const value = inline ?? args[++i];
      if (value === undefined || value === "") throw new UsageError(`${name} needs a value`);
      values.set(name, value);
    } else {
      throw new UsageError(`Unknown option: ${arg}`);
    }
  }
  if (flags.has("--help")) return undefined;
  const options: BenchOptions = {
    scenarios,
    json: values.get("--json"),
    loopback: flags.has("--loopback"),
    variants: names(values.get("--variant"), "--variant", Object.keys(VARIANTS)),
    peers: values.get("--peers") === "none"
      ? []
      : names(values.get("--peers"), "--peers", PEER_NAMES),
    rounds: whole(values.get("--rounds"), "--rounds", 1, 100) ?? DEFAULT_ROUNDS,
    seconds: number(values.get("--seconds"), "--seconds", 0.05, 600),
    link: linkOf(values.get("--link")),
    bytes: whole(values.get("--bytes"), "--bytes", 1, 1e12),
    idlePeers: whole(values.get("--idle-peers"), "--idle-peers", 1, MAX_IDLE_PEERS) ??
      DEFAULT_IDLE_PEERS,
    nodes: whole(values.get("--nodes"), "--nodes", MIN_NODES, MAX_NODES) ?? DEFAULT_NODES,
    install: !flags.has("--no-install"),
  };
  checkBulkOnly(options);
  return options;
}

const FLAGS = ["--loopback", "--no-install", "--help"];
const VALUES = [
  ...["--json", "--variant", "--peers", "--rounds", "--seconds", "--link", "--bytes"],
  ...["--idle-peers", "--nodes"],
];

function splitOption(arg: string): [string, string | undefined] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function names(
  text: string | undefined,
  option: string,
  known: readonly string[],
): string[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(",");
  const unknown = list.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${option}: unknown name "${unknown}" (known: ${known.join(", ")})`);
  }
  return [...new Set(list)];
}

function number(
  text: string | undefined,
  option: string,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value >= min && value <= max)) {
    throw new UsageError(`${option} must be a number from ${min} to ${max}, not "${text}"`);
  }
  return value;
}

function whole(
  text: string | undefined,
  option: string,
  min: number,
  max: number,
): number | undefined {
  const value = number(text, option, min, max);
  if (value !== undefined && !Number.isInteger(value)) {
    throw new UsageError(`${option} must be a whole number, not "${text}"`);
  }
  return value;
}

function linkOf(text: string | undefined): LinkSpec | undefined {
  if (text === undefined) return undefined;
  const link = parseLink(text);
  if (typeof link === "string") throw new UsageError(`--link: ${link}`);
  return link;
}

/** Options that only mean something for `bulk` are an error elsewhere, rather than ignored. */
function checkBulkOnly({ link, bytes, scenarios }: BenchOptions): void {
  const option = link === undefined ? bytes === undefined ? undefined : "--bytes" : "--link";
  if (option === undefined) return;
  if (link !== undefined && bytes !== undefined) {
    throw new UsageError("--link and --bytes cannot be combined");
  }
  if (scenarios.length !== 1 || scenarios[0] !== "bulk") {
    throw new UsageError(`${option} goes with the scenario bulk alone`);
  }
}
