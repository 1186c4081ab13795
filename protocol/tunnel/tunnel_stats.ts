/**
 * What the tunnel layer counts.
 *
 * @module
 */

/** Counters of the tunnel layer. */
export interface TunnelStats {
  /** Frames opened. */
  encryptOk: number;
  /** Frames that would not open or held no packet. */
  encryptFail: number;
  /** Packets sealed and sent. */
  packetsSent: number;
  /** Packets received. */
  packetsReceived: number;
  /** Payload bytes sent. */
  bytesSent: number;
  /** Payload bytes received. */
  bytesReceived: number;
  /** Plaintext frames refused. */
  plaintextRefused: number;
  /** Authentic frames seen before. */
  replaysDropped: number;
}

/** Counters of a layer that has done nothing yet. */
export function newTunnelStats(): TunnelStats {
  return {
    encryptOk: 0,
    encryptFail: 0,
    packetsSent: 0,
    packetsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    plaintextRefused: 0,
    replaysDropped: 0,
  };
}
