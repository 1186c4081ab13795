/**
 * The Pilot daemon: the process beside an agent that owns its address, its tunnels and its streams.
 *
 * @module
 */

export { runDaemon, type RunningDaemon, startDaemon } from "./main.ts";
export type {
  AeadKind,
  DaemonOptions,
  DaemonReady,
  DaemonSettings,
  LogSettings,
  UdpKind,
} from "../platform/settings/mod.ts";
export type { LogFormat, LogLevel } from "../platform/log.ts";
export type { PlainRegistry } from "../platform/registry_exposure.ts";
