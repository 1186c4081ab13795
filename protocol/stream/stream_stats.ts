/**
 * Figures of one stream, named as the daemon's connection list shows them (docs/protocol/local-socket.md §7).
 *
 * @module
 */

/** Snapshot of a stream; bytes unless said otherwise. */
export interface StreamStats {
  /** State name. */
  state: string;
  /** Congestion window. */
  cong_win: number;
  /** Slow start threshold; 0 before the first loss, when there is none. */
  ssthresh: number;
  /** In flight to the peer. */
  in_flight: number;
  /** Smoothed round trip, milliseconds. */
  srtt_ms: number;
  /** Round-trip variation, milliseconds. */
  rttvar_ms: number;
  /** Segments sent and not acknowledged. */
  unacked: number;
  /** Segments held out of order. */
  ooo_buf: number;
  /** Peer's window, in segments. */
  peer_recv_win: number;
  /** Own window, in segments. */
  recv_win: number;
  /** Bytes that one segment of a window stands for. */
  window_slot_bytes: number;
  /** Whether a loss is being repaired. */
  in_recovery: boolean;
  /** Payload sent, repeats not counted. */
  bytes_sent: number;
  /** Payload received in order. */
  bytes_recv: number;
  /** Segments sent, all kinds. */
  segs_sent: number;
  /** Segments received, all kinds. */
  segs_recv: number;
  /** Data segments sent again. */
  retransmits: number;
  /** Recoveries started by acknowledgements rather than a timeout. */
  fast_retx: number;
  /** Selective acknowledgements received. */
  sack_recv: number;
  /** Selective acknowledgements sent. */
  sack_sent: number;
  /** Duplicate acknowledgements received. */
  dup_acks: number;
  /** Written and not acknowledged. */
  send_buf: number;
  /** Received and not read. */
  recv_buf: number;
}
