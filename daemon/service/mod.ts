/**
 * The daemon's built-in services.
 *
 * @module
 */

export * from "./data_exchange.ts";
export * from "./echo.ts";
export * from "./event_stream.ts";
export type { InboxRecord } from "./inbox.ts";
export * from "./nameserver.ts";
export {
  INBOX_MAX_BYTES,
  INBOX_MAX_FILES,
  RECEIVED_MAX_BYTES,
} from "../../platform/mailbox_limits.ts";
export type { Service } from "./service.ts";
export * from "./stream_io.ts";
