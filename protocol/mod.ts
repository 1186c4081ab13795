/**
 * The Pilot protocol itself: bytes in, bytes out. No sockets, clocks, timers or randomness; runs in Deno, Node
 * and Bun.
 *
 * @module
 */

export * from "./address.ts";
export * from "./beacon.ts";
export { ByteQueue } from "./bytes.ts";
export * from "./errors.ts";
export * from "./frame.ts";
export * from "./frame_reader.ts";
export * from "./ip.ts";
export * from "./ipc.ts";
export * from "./packet.ts";
export * from "./ports.ts";
export * from "./registry.ts";
export * from "./service/mod.ts";
