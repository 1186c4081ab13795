/**
 * What the dialling end wants of a stream: its first byte.
 *
 * @module
 */

/** First byte of a stream. */
export const Mode = {
  /** Take and count. */
  Sink: 1,
  /** Send everything back. */
  Echo: 2,
  /** Take and count, and send as much as goes. */
  Both: 3,
  /** Take and hash up to the end. */
  Hash: 4,
} as const;

/** First byte of a message that is to be sent back. */
export const MESSAGE_ECHO = 0x45;
