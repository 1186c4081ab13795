/**
 * All requests to the registry, and their replies.
 *
 * @module
 */

export * from "./beacon_schema.ts";
export * from "./common_schema.ts";
export * from "./directory_schema.ts";
export * from "./identity_schema.ts";
export * from "./network_schema.ts";
export * from "./polo_schema.ts";
export * from "./role_schema.ts";
export * from "./trust_schema.ts";
