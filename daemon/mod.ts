/**
 * The Pilot daemon: the process beside an agent that owns its address, its tunnels and its streams.
 *
 * @module
 */

export { Daemon } from "./daemon.ts";
export { runDaemon } from "./main.ts";
export type { DaemonOptions } from "../platform/settings.ts";
