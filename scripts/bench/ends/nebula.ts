/**
 * The peer `nebula`: two of its nodes with certificates of an authority made for the run, and no lighthouse.
 *
 * @module
 */

import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type GoModule, goPrograms } from "../host/go.ts";
import { freeUdpPort } from "../host/free_ports.ts";
import { Program } from "../host/child_program.ts";
import { run } from "../host/run_command.ts";
import type { Place } from "../host/topology.ts";
import { programVersion } from "../host/program_versions.ts";
import type { PeerEnds, Setting } from "./ends.ts";
import { appears, needTunnels, tunnelEnds } from "./tunnel.ts";

const NAME = "nebula";
/** The newest of November 2026 that builds with Go 1.25 and 1.26, from modules that proxies have. */
const MODULE: GoModule = {
  path: "github.com/slackhq/nebula",
  version: "v1.10.3",
  packages: ["cmd/nebula", "cmd/nebula-cert"],
};
const [HOST_A, HOST_B] = ["10.79.0.1", "10.79.0.2"];
/** One for each namespace. */
const DEVICE = "nebula1";

/**
 * Starts the tunnel and both ends.
 *
 * @param setting Where and how.
 * @returns The ends.
 * @throws {Error} Says why it cannot be measured here.
 */
export async function nebulaEnds(setting: Setting): Promise<PeerEnds> {
  const { topology } = setting;
  await needTunnels(setting);
  const built = await goPrograms(MODULE, setting);
  if (typeof built === "string") throw new Error(built);
  const command = join(built.directory, "nebula");
  const files = await mkdtemp(join(setting.directory, "nebula-"));
  const cert = (...args: string[]) => run(join(built.directory, "nebula-cert"), args);
  const [caCert, caKey] = [join(files, "ca.crt"), join(files, "ca.key")];
  await cert("ca", "-name", "bench", "-out-crt", caCert, "-out-key", caKey);
  const port = freeUdpPort();
  await using stack = new AsyncDisposableStack();
  const devices: Program[] = [];
  for (
    const { name, host, place, peers } of [
      { name: "a", host: HOST_A, place: topology.a, peers: { [HOST_B]: topology.b.host } },
      { name: "b", host: HOST_B, place: topology.b, peers: { [HOST_A]: topology.a.host } },
    ]
  ) {
    const [crt, key] = [join(files, `${name}.crt`), join(files, `${name}.key`)];
    const node = ["-name", name, "-networks", `${host}/24`, "-out-crt", crt, "-out-key", key];
    await cert("sign", "-ca-crt", caCert, "-ca-key", caKey, ...node);
    const file = join(files, `${name}.yml`);
    const pki = { ca: caCert, cert: crt, key };
    // JSON is YAML.
    await writeFile(file, JSON.stringify(config({ pki, place, port, peers })), { mode: 0o600 });
    devices.push(stack.use(await startNode({ command, file, host, place }, setting)));
  }
  const ends = stack.use(
    await tunnelEnds(setting, {
      name: NAME,
      version: await programVersion(command, "-version"),
      detail: `${built.origin}; MTU, cipher and all else as its defaults are`,
      hostB: HOST_B,
      devices,
    }),
  );
  const owned = stack.move();
  return { ...ends, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What a node must be configured with; all that has a default is left out. */
function config(
  { pki, place, port, peers }: {
    pki: Readonly<Record<string, string>>;
    place: Place;
    port: number;
    peers: Readonly<Record<string, string>>;
  },
): unknown {
  const all = [{ port: "any", proto: "any", host: "any" }];
  const known = Object.entries(peers).map(([inside, outside]) => [inside, [`${outside}:${port}`]]);
  return {
    pki,
    static_host_map: Object.fromEntries(known),
    listen: { host: place.host, port },
    tun: { dev: DEVICE },
    logging: { level: "error" },
    firewall: { outbound: all, inbound: all },
  };
}

async function startNode(
  { command, file, host, place }: { command: string; file: string; host: string; place: Place },
  { signal }: Setting,
): Promise<Program> {
  const args = ["-config", file];
  const program = await Program.start({ name: NAME, place, command, args, silent: true, signal });
  try {
    const show = ["-n", place.namespace!, "-o", "addr", "show", "up", "dev", DEVICE];
    await appears(async () => {
      const text = await run("ip", show).catch(() => ""); // no device yet
      return text.includes(` ${host}/`);
    }, program);
    return program;
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}
