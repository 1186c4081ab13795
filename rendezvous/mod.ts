/**
 * The server people run: registry and beacon.
 *
 * @module
 */

export { type Clock, SYSTEM_CLOCK } from "./clock.ts";
export type { MappingLimits } from "./beacon/mappings.ts";
export type { ServerLimits } from "./registry/server.ts";
export { Rendezvous, type RendezvousOptions } from "./rendezvous.ts";
export { runRendezvous, type RunRendezvousOptions } from "./run.ts";
