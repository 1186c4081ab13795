/**
 * Peers that are a tunnel between the namespaces, with iperf3 or our TCP programs in it.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { missing } from "../host/packages.ts";
import { Program } from "../host/child_program.ts";
import { isRoot, run } from "../host/run_command.ts";
import type { Place } from "../host/topology.ts";
import { programVersion } from "../host/program_versions.ts";
import type { Figures } from "../bench_report.ts";
import { type Ends, type IperfOptions, metered, type PeerEnds, type Setting } from "./ends.ts";
import { tcpEnds } from "./tcp.ts";

const IPERF_PORT = 5201;
/** What iperf3 may take beyond the time it was given, milliseconds. */
const IPERF_EXTRA_MS = 10_000;
/** Time for a device or a server to appear, milliseconds. */
const APPEAR_MS = 5_000;

/** A tunnel that is up. */
export interface Tunnel {
  /** Name in the report. */
  readonly name: string;
  /** Version of what makes it. */
  readonly version: string;
  /** Where that comes from, and what one has to know of it. */
  readonly detail: string;
  /** Address of end b in it. */
  readonly hostB: string;
  /** The processes at both ends. */
  readonly devices: readonly Program[];
}

/**
 * Sees to it that a tunnel can be made and measured.
 *
 * @param setting Where.
 * @param programs Debian package by program that it needs besides iperf3.
 * @throws {Error} Says what is not there.
 */
export async function needTunnels(
  setting: Setting,
  programs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const why = !isRoot()
    ? "needs root"
    : !setting.topology.isolated
    ? "needs network namespaces"
    : !existsSync("/dev/net/tun")
    ? "needs /dev/net/tun"
    : await missing({ ...programs, iperf3: "iperf3" }, setting);
  if (why !== undefined) throw new Error(why);
}

/** Starts both ends in a tunnel; they do not own it. */
export async function tunnelEnds(setting: Setting, tunnel: Tunnel): Promise<PeerEnds> {
  const { topology, signal } = setting;
  const { name, version, hostB: host } = tunnel;
  await using stack = new AsyncDisposableStack();
  // Also the handshake, so that the first round does not have it.
  const tcp = stack.use(await tcpEnds(setting, { name, host }));
  await tcp.client.call("dial", { count: 1 });
  const iperfServer = stack.use(
    await Program.start({
      name: "iperf3 server",
      place: topology.b,
      command: "iperf3",
      args: ["-s", "-B", host, "-p", `${IPERF_PORT}`],
      silent: true,
      signal,
    }),
  );
  await answering(topology.a, host, iperfServer);
  const devices = tunnel.devices.map(({ pid }) => pid);
  const iperfEnds = { pids: [...devices, iperfServer.pid], carriers: devices };
  const owned = stack.move();
  return {
    ...tcp,
    version,
    detail: `${tunnel.detail}; carries TCP of iperf ${await programVersion("iperf3", "--version")}`,
    pids: [...devices, ...tcp.pids],
    carriers: devices,
    iperf: (options) => iperf(setting, { ...iperfEnds, host }, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Waits for the iperf3 server, which says nothing when it listens. */
async function answering({ namespace }: Place, host: string, server: Program): Promise<void> {
  const script = `const c = await Deno.connect({ hostname: "${host}", port: ${IPERF_PORT} });` +
    " c.close();";
  const line = ["netns", "exec", namespace!, Deno.execPath(), "eval", script];
  await appears(async () => {
    const listening = await run("ip", line).catch(() => undefined); // not yet
    return listening !== undefined;
  }, server);
}

/**
 * Waits for what a program makes.
 *
 * @param look Whether it is there.
 * @param program The program.
 * @throws {Error} When the program ends or takes too long, with the last lines of its log.
 */
export async function appears(
  look: () => boolean | Promise<boolean>,
  program: Program,
): Promise<void> {
  const end = performance.now() + APPEAR_MS;
  while (!await look()) {
    if (program.obituary !== undefined) throw new Error(program.obituary);
    if (performance.now() > end) {
      throw program.failure(`not there within ${APPEAR_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What iperf3 prints with -J, as far as it is read here. */
interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number; readonly bytes: number };
    readonly sum_received_bidir_reverse?: { readonly bits_per_second: number };
    readonly cpu_utilization_percent: { readonly host_total: number };
  };
}

async function iperf(
  { topology, signal }: Setting,
  { host, ...ends }: Pick<Ends, "pids" | "carriers"> & { readonly host: string },
  { streams, both, seconds, warmUpSeconds }: IperfOptions,
): Promise<Figures> {
  // iperf3 takes whole seconds.
  const [measured, before] = [Math.ceil(seconds), Math.ceil(warmUpSeconds)];
  const line = [
    ...["netns", "exec", topology.a.namespace!, "iperf3", "-c", host, "-p", `${IPERF_PORT}`],
    ...["-J", "-t", `${measured}`, "-O", `${before}`, "-P", `${streams}`],
    ...(both ? ["--bidir"] : []),
    ...(topology.tcp === undefined ? [] : ["-C", topology.tcp]),
  ];
  const limit = AbortSignal.timeout((measured + before) * 1000 + IPERF_EXTRA_MS);
  let clientCpu = 0;
  const figures = await metered(ends, async () => {
    const text = await run("ip", line, { signal: AbortSignal.any([signal, limit]) });
    const { error, end } = JSON.parse(text) as IperfReport;
    if (error !== undefined) throw new Error(`iperf3: ${error}`);
    const { bits_per_second } = end.sum_received;
    const bits = bits_per_second + (end.sum_received_bidir_reverse?.bits_per_second ?? 0);
    clientCpu = end.cpu_utilization_percent.host_total / 100 * (measured + before);
    return { mb_s: bits / 8 / 1e6, seconds: measured };
  }, () => clientCpu);
  // What goes before the measured part costs the same per second.
  return { ...figures, cpu_s: figures.cpu_s! * measured / (measured + before) };
}
