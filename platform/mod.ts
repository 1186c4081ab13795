/**
 * What every program of the project shares with the machine it runs on: settings, small files, pid file, log.
 *
 * @module
 */

export * from "./duration.ts";
export * from "./private_files.ts";
export * from "./fingerprint.ts";
export * from "./log.ts";
export * from "./pidfile.ts";
export * from "./settings/mod.ts";
export * from "./version.ts";
