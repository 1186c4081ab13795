/**
 * Codecs of the built-in stream services.
 *
 * @module
 */

export * from "./data_exchange.ts";
export * from "./tagged.ts";
export * from "./event_stream.ts";
export * from "./file_stream.ts";
