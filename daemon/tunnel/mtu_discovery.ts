/**
 * What path MTU discovery keeps of a peer.
 *
 * @module
 */

import type { PathMtu } from "../../protocol/path/mod.ts";

/** Path MTU discovery towards one host. */
export interface MtuDiscovery {
  /** Where the path leads; another host is another path. */
  readonly host: string;
  readonly search: PathMtu;
  /** Sizes and times of probes by their ids. */
  readonly probes: Map<number, { readonly bytes: number; readonly sentMs: number }>;
  cancelTimer: (() => void) | undefined;
}
