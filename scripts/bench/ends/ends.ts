/**
 * Two ends of one transport, ready to be measured.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { Program } from "../host/child_program.ts";
import type { Place, Topology } from "../host/topology.ts";
import { cpuSeconds, machineCpuSeconds, peakMb } from "../host/usage.ts";
import type { TransportConfig } from "../programs/measured_transport.ts";
import type { RelayAddress, RelayRoute } from "../programs/udp_relay.ts";
import type { Figures } from "../bench_report.ts";

/** Where and how ends are set up. */
export interface Setting {
  /** Places of the ends. */
  readonly topology: Topology;
  /** Peers that cannot reach each other go through a UDP relay at the hub. */
  readonly udpRelay?: boolean;
  /** An empty directory of this run. */
  readonly directory: string;
  /** Gives up. */
  readonly signal: AbortSignal;
  /** Packages may be installed, Go modules built. */
  readonly install: boolean;
}

/** Bulk transfer by iperf3 instead of our own programs. */
export interface IperfOptions {
  /** Parallel streams. */
  readonly streams: number;
  /** Both directions at once. */
  readonly both: boolean;
  /** Length of the round and of what goes before it, seconds. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** Two measuring programs and what carries their traffic. */
export interface Ends extends AsyncDisposable {
  /** Name in the report. */
  readonly name: string;
  /** The end that dials. */
  readonly client: Program;
  /** The end that listens. */
  readonly server: Program;
  /** All processes whose processor time counts. */
  readonly pids: readonly number[];
  /** Those whose memory counts. */
  readonly carriers: readonly number[];
  /** How processes of it have ended that should be running. */
  readonly obituaries?: () => string[];
  /** What it runs on, for the report. */
  readonly detail?: string;
  /** Where bulk is measured by iperf3. */
  readonly iperf?: (options: IperfOptions) => Promise<Figures>;
}

/** Those of a peer. */
export interface PeerEnds extends Ends {
  /** Version of what is measured. */
  readonly version: string;
}

const AGENT = fileURLToPath(new URL("../programs/agent.ts", import.meta.url));
const RELAY = fileURLToPath(new URL("../programs/udp_relay.ts", import.meta.url));

/** Arguments that run a program of ours. */
function denoArgs(script: string, ...args: readonly string[]): string[] {
  return ["run", "--quiet", "-A", "--unstable-net", script, ...args];
}

/** Starts a measuring program. */
export function startAgent(
  role: "serve" | "dial",
  config: TransportConfig,
  { place, name, signal }: { place: Place; name: string; signal: AbortSignal },
): Promise<Program> {
  const args = denoArgs(AGENT, role, JSON.stringify(config));
  return Program.start({ name: `${name} ${role}`, place, args, signal });
}

/** Where the ends of one route of a relay find each other. */
export interface RelayEnds {
  /** What a takes for b. */
  readonly forA: RelayAddress;
  /** What b takes for a. */
  readonly forB: RelayAddress;
}

/** Starts a UDP relay at the hub that leads to some addresses at end b. */
export async function startUdpRelay(
  { topology: { hub }, signal }: Setting,
  to: readonly RelayAddress[],
): Promise<{ program: Program; routes: RelayEnds[] }> {
  const routes: RelayRoute[] = to.map((b) => ({ b, forA: hub.forA, forB: hub.forB }));
  const program = await Program.start({
    name: "relay",
    place: hub.place,
    args: denoArgs(RELAY, JSON.stringify(routes)),
    signal,
  });
  return { program, routes: program.ready.routes as RelayEnds[] };
}

/**
 * Runs something and adds the processor time it took, the memory, and what others took of the machine.
 *
 * @param ends Whose.
 * @param work What to run.
 * @param own Processor time of processes that ended with the work, seconds; called after it.
 * @returns The figures of the work and these.
 */
export async function metered(
  { pids, carriers }: Pick<Ends, "pids" | "carriers">,
  work: () => Promise<Figures>,
  own: () => number = () => 0,
): Promise<Figures> {
  const started = performance.now();
  const [all, before] = [await machineCpuSeconds(), await cpuSeconds(pids)];
  const figures = await work();
  const [allAfter, after] = [await machineCpuSeconds(), await cpuSeconds(pids)];
  const available = (performance.now() - started) / 1000 * navigator.hardwareConcurrency;
  const rss = await peakMb(carriers);
  if (all === undefined || before === undefined || allAfter === undefined || after === undefined) {
    return figures;
  }
  const cpu = after - before + own();
  return {
    ...figures,
    cpu_s: cpu,
    ...(rss === undefined ? {} : { rss_mb: rss }),
    others_percent: Math.max(0, Math.round((allAfter - all - cpu) / available * 100)),
  };
}
