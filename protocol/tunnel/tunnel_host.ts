/**
 * What the tunnel layer reports to and asks of its owner. What may wait for the network comes out as an action, whose
 * result is handed back in; the rest are questions that have an answer at once.
 *
 * @module
 */

import type { Endpoint } from "../ip.ts";
import type { Packet } from "../packet.ts";
import type { Route } from "../path/mod.ts";
import type { Verification } from "./verifications.ts";

/** Where a peer may be reached. */
export interface Resolution {
  /** Its registered endpoint, if it has one. */
  readonly endpoint: Endpoint | undefined;
  /** LAN addresses to try. */
  readonly alternatives: readonly Endpoint[];
  /** Other public addresses that it names for itself. */
  readonly others?: readonly Endpoint[];
}

/** Why the registry is asked where a peer is: it answers no key, a direct path is looked for, or others use its name. */
export type ResolveReason = "unanswered" | "search" | "claimed";

/** What is to be done outside, or has happened. */
export type TunnelAction =
  /** Verify a key and derive the session's; the result goes to `TunnelCore.onVerified`. */
  | { readonly type: "verify"; readonly verification: Verification }
  /** Ask the registry where a peer is; the result goes to `TunnelCore.onResolved`. */
  | { readonly type: "resolve"; readonly node: number; readonly reason: ResolveReason }
  /** Ask the beacon to make both sides punch. */
  | { readonly type: "punch"; readonly node: number }
  /** Announce ourselves to the beacon. */
  | { readonly type: "announce" }
  /** Frames take another path from now on; `isRepaired`: because the one before is dead. */
  | {
    readonly type: "path_changed";
    readonly node: number;
    readonly route: Route | undefined;
    readonly isRelayed: boolean;
    readonly isRepaired: boolean;
  }
  /** The path to a peer carries other sizes from now on. */
  | { readonly type: "sizes_changed"; readonly node: number }
  /** A peer has proven a key; `isRekeyed`: it had another one before. */
  | {
    readonly type: "proven";
    readonly node: number;
    readonly isRelayed: boolean;
    readonly isRekeyed: boolean;
  }
  /** A key was offered that is not the node's. */
  | { readonly type: "key_mismatch"; readonly node: number };

/** The owner of the tunnel layer: takes packets, and knows what is wanted and which node may do what. */
export interface TunnelHost {
  /**
   * An authentic packet for us; its payload is valid during the call only. `route` is the one that it came by;
   * `isBatch`: the socket will say when the pending datagrams have been handed over.
   */
  onPacket(packet: Packet, route: Route, isBatch: boolean): void;
  /** Connections run over the tunnel. */
  hasConns(node: number): boolean;
  /** The tunnel to a node should be kept up. */
  isWanted(node: number): boolean;
  /** Key of a trusted peer. */
  pinnedKey(node: number): Uint8Array | undefined;
  /** Trust in the node has ended not long ago: its tunnel is kept for some time. */
  isFormer(node: number): boolean;
  /** Who may know that this node is here; undefined when that is not known yet. */
  mayKnow(node: number): boolean | undefined;
}

/** Our key as frames: as a question, as an answer, and only the question for the peer's. */
export interface OwnKeyFrames {
  /** PILA that asks for the peer's. */
  readonly request: Uint8Array;
  /** PILA that answers. */
  readonly response: Uint8Array;
  /** PILK. */
  readonly key: Uint8Array;
}
