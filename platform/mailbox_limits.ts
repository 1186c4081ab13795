/**
 * Bounds of what a daemon keeps for its user, for the daemon that holds them and the programs that look at it.
 *
 * Nobody but the user removes what was acknowledged, so each bound is one at which new things are refused.
 *
 * @module
 */

/** Messages in the inbox; more are refused until some are removed (docs/protocol/services.md §7). */
export const INBOX_MAX_FILES = 10_000;
/** Of one sender: four of them fill what is not reserved for others. */
export const INBOX_MAX_FILES_PER_SENDER = 2_500;
/** Bytes of messages in the inbox, as stored (docs/protocol/services.md §7). */
export const INBOX_MAX_BYTES = 256 * 1024 * 1024;
/** Of one sender, bytes as stored: two of the largest messages and some. */
export const INBOX_MAX_BYTES_PER_SENDER = 64 * 1024 * 1024;
/** Received files, unfinished ones included: empty ones cost a place in the directory, too. */
export const RECEIVED_MAX_FILES = 10_000;
/** Of one sender. */
export const RECEIVED_MAX_FILES_PER_SENDER = 2_500;
/** Bytes of all received files, unfinished ones included (docs/protocol/services.md §7). */
export const RECEIVED_MAX_BYTES = 2 * 1024 * 1024 * 1024;
/** Of one sender, bytes: half, so that one large file is still possible. */
export const RECEIVED_MAX_BYTES_PER_SENDER = 1024 * 1024 * 1024;
/**
 * Part of each bound that is kept for senders who have little there: some who fill their shares together do not keep
 * the others out.
 */
export const MAILBOX_RESERVED_SHARE = 0.1;
/** Who has fewer messages or files than this has little there. */
export const MAILBOX_LITTLE_FILES = 10;
/** A sender with no more than this part of the bytes has little there: 2.5 MiB of messages, 20 MiB of files. */
export const MAILBOX_LITTLE_SHARE = 0.01;
/** Disk space that received files leave alone (docs/protocol/services.md §7). */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;
/** Disk space that messages leave alone, bytes: the daemon's own state must still be written, who is trusted above all. */
export const MESSAGE_DISK_RESERVE_BYTES = 8 * 1024 * 1024;
