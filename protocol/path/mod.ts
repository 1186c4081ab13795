/**
 * Paths to a peer: which one is used, and which datagram size it carries.
 *
 * @module
 */

export * from "./path.ts";
export * from "./manager.ts";
export * from "./mtu_discovery.ts";
export * from "./path_work.ts";
export * from "./pmtu.ts";
export * from "./probe.ts";
export * from "./path_report.ts";
export * from "./route.ts";
export * from "./search.ts";
