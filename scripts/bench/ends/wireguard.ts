/**
 * The peer `wireguard-go`: its current release where Go is there, else the one that is installed.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GoModule, goPrograms } from "../host/go.ts";
import { missing } from "../host/packages.ts";
import { freeUdpPort } from "../host/free_ports.ts";
import { Program } from "../host/child_program.ts";
import { run } from "../host/run_command.ts";
import type { Place } from "../host/topology.ts";
import { programVersion } from "../host/program_versions.ts";
import type { PeerEnds, Setting } from "./ends.ts";
import { appears, needTunnels, tunnelEnds } from "./tunnel.ts";

const NAME = "wireguard-go";
/** The newest of November 2026; it calls itself 0.0.20250522, the last release that was named. */
const MODULE: GoModule = {
  path: "golang.zx2c4.com/wireguard",
  version: "v0.0.0-20260522210424-ecfc5a8d5446",
  packages: [""],
};
/** The first release with UDP segmentation and receive offload. */
const FIRST_OFFLOAD = "0.0.20231211";
/** Where wireguard-go is controlled. */
const CONTROL = "/var/run/wireguard";
/** As `wg-quick` sets it for a path of 1500. */
const MTU = 1420;
const [HOST_A, HOST_B] = ["10.78.0.1", "10.78.0.2"];

/** Numbers the devices of this process: their control sockets share one directory. */
let count = 0;

/**
 * Starts the tunnel and both ends.
 *
 * @param setting Where and how.
 * @returns The ends.
 * @throws {Error} Says why it cannot be measured here.
 */
export async function wireguardEnds(setting: Setting): Promise<PeerEnds> {
  const { topology, directory } = setting;
  await needTunnels(setting, { wg: "wireguard-tools" });
  const { command, ...origin } = await program(setting);
  await using stack = new AsyncDisposableStack();
  const port = freeUdpPort();
  const number = `${Deno.pid % 100_000}x${count++}`;
  const a = stack.use(await startDevice(`wga${number}`, topology.a, command, setting));
  const b = stack.use(await startDevice(`wgb${number}`, topology.b, command, setting));
  const keysA = await keyPair(directory);
  const keysB = await keyPair(directory);
  await configure(a, { host: HOST_A, peer: HOST_B, keyFile: keysA.file, peerKey: keysB.public }, [
    ...["endpoint", `${topology.b.host}:${port}`],
  ]);
  await configure(
    b,
    { host: HOST_B, peer: HOST_A, keyFile: keysB.file, peerKey: keysA.public },
    [],
    ["listen-port", `${port}`],
  );
  const devices = [a.program, b.program];
  const ends = stack.use(
    await tunnelEnds(setting, { ...origin, name: NAME, hostB: HOST_B, devices }),
  );
  const owned = stack.move();
  return { ...ends, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The program to run, what it is and where it comes from. */
async function program(
  setting: Setting,
): Promise<{ command: string; version: string; detail: string }> {
  const built = await goPrograms(MODULE, setting);
  if (typeof built !== "string") {
    const command = join(built.directory, "wireguard");
    return { command, version: await programVersion(command, "--version"), detail: built.origin };
  }
  const why = await missing({ [NAME]: NAME }, setting);
  if (why !== undefined) throw new Error(`${built}; ${why}`);
  const version = await programVersion(NAME, "--version");
  return { command: NAME, version, detail: installedDetail(version, await debianVersion(), built) };
}

/** Version of the Debian package; undefined when the program was installed otherwise. */
async function debianVersion(): Promise<string | undefined> {
  // Without dpkg, or without the package, it fails.
  return await run("dpkg-query", ["-W", "-f", "${Version}", NAME]).catch(() => undefined);
}

/**
 * What one has to know of a wireguard-go that was not built for the benchmark.
 *
 * @param version What it says.
 * @param debian Version of its Debian package.
 * @param why Why none was built.
 * @returns For the notes of the report.
 */
export function installedDetail(version: string, debian: string | undefined, why: string): string {
  const origin = debian === undefined ? "as installed" : `Debian package ${debian}`;
  // Dates of one form, so they compare as text.
  const old = version < FIRST_OFFLOAD
    ? `; older than UDP offload (${FIRST_OFFLOAD}), so several times slower than the current release`
    : "";
  return `${origin}, not the current release: ${why}${old}`;
}

interface Device extends AsyncDisposable {
  readonly name: string;
  readonly place: Place;
  readonly program: Program;
}

async function startDevice(
  name: string,
  place: Place,
  command: string,
  { signal }: Setting,
): Promise<Device> {
  const program = await Program.start({
    name: NAME,
    place,
    command,
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
    await appears(() => existsSync(join(CONTROL, `${name}.sock`)), program);
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
