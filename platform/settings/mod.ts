/**
 * Settings: one table for all of them, and what follows from it.
 *
 * @module
 */

export * from "./config.ts";
export * from "./daemon_options.ts";
export * from "./resolve_settings.ts";
export * from "./setting_table.ts";
