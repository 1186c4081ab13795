/**
 * The server people run: registry and beacon.
 *
 * @module
 */

export { type BackupOptions, type BackupResult, backupStore } from "./backup.ts";
export type { Clock } from "../platform/clock.ts";
export { systemClock } from "../platform/system_clock.ts";
export type { BeaconSettings } from "./beacon/beside_registry.ts";
export type { BeaconCounters, BeaconHealth } from "./beacon/beacon_counters.ts";
export type { MappingLimits } from "./beacon/mappings.ts";
export { type ImportOptions, type ImportResult, importSnapshot } from "./registry/import/import.ts";
export type { ServerLimits } from "./registry/registry_server.ts";
export { Rendezvous, type RendezvousOptions } from "./rendezvous.ts";
export type { LogFormat, LogLevel, LogOptions } from "../platform/log.ts";
export type { TlsOptions } from "./registry/tls.ts";
export type { JoinFacts } from "./join_line.ts";
export type { HttpAccess } from "../platform/http/http_server.ts";
export {
  type RendezvousReady,
  runRendezvous,
  type RunRendezvousOptions,
} from "./run_rendezvous.ts";
export { rendezvousStatus, type StatusOptions } from "./status.ts";
export type { RendezvousFacts } from "./view.ts";
