/**
 * Bounds of what a daemon keeps for its user, for the daemon that holds them and the programs that look at it.
 *
 * @module
 */

/** Messages kept (services-cli.md §11.1). */
export const INBOX_MAX_FILES = 10_000;
/** Bytes of messages kept (services-cli.md §11.1). */
export const INBOX_MAX_BYTES = 256 * 1024 * 1024;
/** Bytes of all received files, unfinished ones included (services-cli.md §11.1). */
export const RECEIVED_MAX_BYTES = 2 * 1024 * 1024 * 1024;
/** Disk space that received files leave alone (services-cli.md §11.1). */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;
