/**
 * The daemon's built-in services.
 *
 * @module
 */

export * from "./data_exchange_service.ts";
export * from "./echo.ts";
export * from "./event_broker.ts";
export type { InboxRecord } from "./message_inbox.ts";
export * from "./nameserver_service.ts";
export {
  INBOX_MAX_BYTES,
  INBOX_MAX_FILES,
  RECEIVED_MAX_BYTES,
} from "../../platform/mailbox_limits.ts";
export type { Service } from "./service_port.ts";
export * from "./stream_io.ts";
