/**
 * The trust handshake of port 444: messages, signatures, state (docs/protocol/trust.md).
 *
 * @module
 */

export * from "./file.ts";
export * from "./message.ts";
export * from "./trust_outbox.ts";
export * from "./outcome.ts";
export * from "./trust_peer.ts";
export * from "./pending_table.ts";
export * from "./reader.ts";
export * from "./replay_set.ts";
export * from "./state.ts";
export * from "./tables.ts";
export * from "./verify_message.ts";
