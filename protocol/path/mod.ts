/**
 * Path MTU discovery: the state machine and the payload of its probes.
 *
 * @module
 */

export * from "./pmtu.ts";
export * from "./probe.ts";
