/**
 * The peer `wireguard-go`: a tunnel between the namespaces, with iperf3 or our TCP programs in it.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { missing } from "../host/packages.ts";
import { freeUdpPort } from "../host/ports.ts";
import { Program } from "../host/program.ts";
import { isRoot, run } from "../host/run.ts";
import type { Place } from "../host/topology.ts";
import type { Figures } from "../report.ts";
import { type Ends, type IperfOptions, metered, type Setting } from "./ends.ts";
import { tcpEnds } from "./tcp.ts";

/** Where wireguard-go is controlled. */
const CONTROL = "/var/run/wireguard";
/** As `wg-quick` sets it for a path of 1500. */
const MTU = 1420;
const [HOST_A, HOST_B] = ["10.78.0.1", "10.78.0.2"];
const IPERF_PORT = 5201;
/** What iperf3 may take beyond the time it was told, milliseconds. */
const IPERF_EXTRA_MS = 10_000;
/** Time for a device or a server to appear, milliseconds. */
const APPEAR_MS = 5_000;

/** Numbers the devices of this process: their control sockets share one directory. */
let count = 0;

/** Why it cannot be measured here, or undefined. */
export async function wireguardMissing(setting: Setting): Promise<string | undefined> {
  if (!isRoot()) return "needs root";
  if (!setting.topology.isolated) return "needs network namespaces";
  if (!existsSync("/dev/net/tun")) return "needs /dev/net/tun";
  const programs = { "wireguard-go": "wireguard-go", wg: "wireguard-tools", iperf3: "iperf3" };
  return await missing(programs, setting);
}

/** Starts the tunnel and both ends. */
export async function wireguardEnds(setting: Setting): Promise<Ends> {
  const { topology, directory, signal } = setting;
  await using stack = new AsyncDisposableStack();
  const port = freeUdpPort();
  const number = `${Deno.pid % 100_000}x${count++}`;
  const a = stack.use(await startDevice(`wga${number}`, topology.a, setting));
  const b = stack.use(await startDevice(`wgb${number}`, topology.b, setting));
  const keysA = await keyPair(directory);
  const keysB = await keyPair(directory);
  await configure(a, { host: HOST_A, peer: HOST_B, keyFile: keysA.file, peerKey: keysB.public }, [
    ...["endpoint", `${topology.b.host}:${port}`],
  ]);
  await configure(
    b,
    { host: HOST_B, peer: HOST_A, keyFile: keysB.file, peerKey: keysA.public },
    [],
    [
      ...["listen-port", `${port}`],
    ],
  );
  // Also the handshake, so that the first round does not have it.
  const tcp = stack.use(await tcpEnds(setting, { name: "wireguard-go", host: HOST_B }));
  await tcp.client.call("dial", { count: 1 });
  const iperfServer = stack.use(
    await Program.start({
      name: "iperf3 server",
      place: topology.b,
      command: "iperf3",
      args: ["-s", "-B", HOST_B, "-p", `${IPERF_PORT}`],
      silent: true,
      signal,
    }),
  );
  await answering(topology.a);
  const devices = [a.program.pid, b.program.pid];
  const owned = stack.move();
  return {
    ...tcp,
    pids: [...devices, ...tcp.pids],
    carriers: devices,
    iperf: (options) =>
      iperf(setting, { pids: [...devices, iperfServer.pid], carriers: devices }, options),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Device extends AsyncDisposable {
  readonly name: string;
  readonly place: Place;
  readonly program: Program;
}

async function startDevice(name: string, place: Place, { signal }: Setting): Promise<Device> {
  const program = await Program.start({
    name: "wireguard-go",
    place,
    command: "wireguard-go",
    args: ["--foreground", name],
    env: { LOG_LEVEL: "error", WG_PROCESS_FOREGROUND: "1" },
    silent: true,
    signal,
  });
  const device: Device = {
    name,
    place,
    program,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
  try {
    await appears(() => existsSync(join(CONTROL, `${name}.sock`)), `wireguard-go ${program.log}`);
    return device;
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

async function keyPair(directory: string): Promise<{ file: string; public: string }> {
  const secret = await run("wg", ["genkey"]);
  const file = join(await mkdtemp(join(directory, "wg-")), "key");
  await writeFile(file, secret, { mode: 0o600 });
  return { file, public: (await run("wg", ["pubkey"], { input: secret })).trim() };
}

async function configure(
  { name, place }: Device,
  keys: { host: string; peer: string; keyFile: string; peerKey: string },
  peerArgs: readonly string[],
  deviceArgs: readonly string[] = [],
): Promise<void> {
  const inside = (...line: string[]) => run("ip", ["netns", "exec", place.namespace!, ...line]);
  const peer = ["peer", keys.peerKey, "allowed-ips", `${keys.peer}/32`, ...peerArgs];
  await inside("wg", "set", name, "private-key", keys.keyFile, ...deviceArgs, ...peer);
  await inside("ip", "addr", "add", `${keys.host}/24`, "dev", name);
  await inside("ip", "link", "set", name, "mtu", `${MTU}`, "up");
}

/** Waits for the iperf3 server, which says nothing when it listens. */
async function answering(place: Place): Promise<void> {
  const { namespace } = place;
  const script = `const c = await Deno.connect({ hostname: "${HOST_B}", port: ${IPERF_PORT} });` +
    " c.close();";
  await appears(async () => {
    const listening = await run("ip", [
      "netns",
      "exec",
      namespace!,
      Deno.execPath(),
      "eval",
      script,
    ])
      .catch(() => undefined); // not yet
    return listening !== undefined;
  }, "iperf3 server");
}

async function appears(look: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + APPEAR_MS;
  while (!await look()) {
    if (performance.now() > end) throw new Error(`${what}: not there within ${APPEAR_MS} ms`);
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
  ends: Pick<Ends, "pids" | "carriers">,
  { streams, both, seconds, warmUpSeconds }: IperfOptions,
): Promise<Figures> {
  // iperf3 takes whole seconds.
  const [measured, before] = [Math.ceil(seconds), Math.ceil(warmUpSeconds)];
  const line = [
    ...["netns", "exec", topology.a.namespace!, "iperf3", "-c", HOST_B, "-p", `${IPERF_PORT}`],
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
