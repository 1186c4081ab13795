/**
 * The daemon's built-in services.
 *
 * @module
 */

export * from "./data_exchange.ts";
export * from "./echo.ts";
export * from "./event_stream.ts";
export { INBOX_MAX_BYTES, INBOX_MAX_FILES, type InboxRecord } from "./inbox.ts";
export * from "./nameserver.ts";
export { RECEIVED_MAX_BYTES } from "./received_files.ts";
export type { Service } from "./service.ts";
export * from "./stream_io.ts";
