/**
 * The Pilot daemon: the process beside an agent that owns its address, its tunnels and its streams.
 *
 * ```ts
 * import { daemonOptions, startDaemon } from "@pilot-protocol/pilot/daemon";
 * import { Rendezvous } from "@pilot-protocol/pilot/rendezvous";
 * import { connect } from "@pilot-protocol/pilot";
 *
 * // A network of its own within this program: one rendezvous, one agent.
 * const directory = await Deno.makeTempDir();
 * const any = "127.0.0.1:0";
 * await using rendezvous = await Rendezvous.start({
 *   registryAddr: any,
 *   beaconAddr: any,
 *   store: undefined,
 * });
 * const options = daemonOptions({
 *   home: directory,
 *   registry: rendezvous.registryAddr,
 *   beacon: rendezvous.beaconAddr,
 *   listen: any,
 * });
 * const daemon = await startDaemon(options);
 * {
 *   await using driver = await connect({ socket: options.socket });
 *   console.log((await driver.info()).version);
 * }
 * await daemon.stop();
 * await Deno.remove(directory, { recursive: true });
 * ```
 *
 * @module
 */

export { daemonOptions } from "../platform/settings/mod.ts";
export { runDaemon, type RunningDaemon, startDaemon } from "./main.ts";
export type {
  AeadKind,
  DaemonFlags,
  DaemonOptions,
  DaemonReady,
  DaemonSettings,
  LogSettings,
  PlaceSettings,
  UdpKind,
} from "../platform/settings/mod.ts";
export type { LogFormat, LogLevel } from "../platform/log.ts";
export type { PlainRegistry } from "../platform/registry_exposure.ts";
