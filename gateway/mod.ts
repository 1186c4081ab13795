/**
 * The gateway: ordinary TCP programs reach agents through local IP addresses.
 *
 * @module
 */

export type { SilenceLimits } from "./carried.ts";
export * from "./gateway.ts";
export * from "./run_gateway.ts";
