/**
 * Tunnels of existing peers whose trust has ended. They stay for some time, and their key exchanges are answered, but
 * nothing is let in: these peers keep to their side, and would wait for 18 s at each attempt, and leave the direct
 * path, if they were met by silence. The tunnels of our own kind end with trust on both sides.
 *
 * @module
 */

import { type Clock, TimerSet } from "../../platform/clock.ts";

/** How long a tunnel outlives trust, ms: as long as one that is idle. */
export const FORMER_PEER_MS = 10 * 60_000;
/** Peers that are waited for; for further ones the tunnel ends with trust. */
export const MAX_FORMER_PEERS = 1_024;

/** The tunnels of former peers. */
export interface FormerTunnels {
  /** Whether a node has a tunnel and is of the existing kind. */
  isExisting(node: number): boolean;
  /** Drops the tunnel of a node, unless it is trusted again. */
  drop(node: number): void;
}

/** Ends the tunnels of former peers in time. */
export class FormerPeers {
  readonly #timers: TimerSet;
  readonly #waiting = new Map<number, () => void>();
  #tunnels: FormerTunnels | undefined;

  constructor(clock: Clock) {
    this.#timers = new TimerSet(clock);
  }

  /** Sets whose tunnels are ended. */
  start(tunnels: FormerTunnels): void {
    this.#tunnels = tunnels;
  }

  /** Trust in a node has ended. */
  ended(node: number): void {
    this.#waiting.get(node)?.();
    this.#waiting.delete(node);
    const hasRoom = this.#waiting.size < MAX_FORMER_PEERS;
    if (!hasRoom || this.#tunnels?.isExisting(node) !== true) return this.#drop(node);
    this.#waiting.set(
      node,
      this.#timers.after(FORMER_PEER_MS, () => {
        this.#waiting.delete(node);
        this.#drop(node);
      }),
    );
  }

  /** Whether trust in a node has ended not long ago. */
  has(node: number): boolean {
    return this.#waiting.has(node);
  }

  /** Our new location is not for former peers. */
  endAll(): void {
    const nodes = [...this.#waiting.keys()];
    this.#timers.clear();
    this.#waiting.clear();
    for (const node of nodes) this.#drop(node);
  }

  /** Waits for none any more. */
  close(): void {
    this.#timers.close();
    this.#waiting.clear();
  }

  #drop(node: number): void {
    this.#tunnels?.drop(node);
  }
}
