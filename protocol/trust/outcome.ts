/**
 * What is known when a peer says something, and what is to be done about it (docs/protocol/trust.md §3).
 *
 * @module
 */

/** When a peer said something, with which key where that is known, and its place among what it said. */
export interface PeerContext {
  /** Unix milliseconds. */
  readonly now: number;
  /** The peer's verified key, 32 bytes. */
  readonly publicKey?: Uint8Array;
  /** The statement's `order`; missing from older peers. */
  readonly order?: number | undefined;
  /** The statement's `re`. */
  readonly re?: number | undefined;
  /** Only the registry says that the peer has said it: nothing of the peer's own is there. */
  readonly isHearsay?: boolean;
}

/** What is known about an incoming request. */
export interface RequestContext extends PeerContext {
  /** Why it asks. */
  readonly justification?: string;
  /** A network both are members of; 0 (the backbone) does not count. */
  readonly sharedNetwork?: number;
  /** Whether everybody is approved automatically. */
  readonly autoApprove?: boolean;
  /** Where the sender registered from, see {@linkcode PendingRequest.source}. */
  readonly source?: string;
}

/** What to do about an incoming request. Answers are owed already, see {@linkcode TrustState.owed}. */
export type RequestOutcome =
  | {
    /** It is trusted. */
    readonly action: "accept";
    /** Why. */
    readonly reason: "already" | "mutual" | "same_network" | "auto_approve";
  }
  | {
    /** It waits for approval. */
    readonly action: "pending";
    /** The node whose request had to make room for it, and is notified. */
    readonly dropped?: number;
  }
  | {
    /** Do nothing but report it. */
    readonly action: "ignore";
    /** `key_changed`: trusted under another key. `limit`: no room. `stale`: late or doubled. */
    readonly reason: "key_changed" | "limit" | "stale";
  };

/** What became of an incoming accept. */
export type AcceptOutcome =
  | {
    /** The peer is trusted now; report it to the registry. */
    readonly action: "trusted";
  }
  | {
    /** Nothing changed. */
    readonly action: "ignore";
    /** `unsolicited`: we did not ask, or something else. The others as in {@linkcode RequestOutcome}. */
    readonly reason: "already" | "unsolicited" | "key_changed" | "limit" | "stale";
  };

/** What became of an incoming reject: `rejected` our request, `ended` trust with it, or concerned neither. */
export type RejectOutcome = "rejected" | "ended" | "ignored";
