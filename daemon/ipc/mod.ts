/**
 * The daemon's local socket.
 *
 * @module
 */

export type { Backend, DirectoryBackend, Json, NetworkBackend, TrustBackend } from "./backend.ts";
export * from "./ipc_server.ts";
