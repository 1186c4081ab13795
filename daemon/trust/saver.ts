/**
 * Keeps trust.json what the trust state is: in order, again after a failure, and with a revocation on disk even when
 * the disk is full.
 *
 * @module
 */

import type { TrustState } from "../../protocol/trust/mod.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";

/** When a write that failed is tried again. */
export const SAVE_RETRY_MS = 5_000;

/** Room on disk for revocations that was taken beforehand, see `RevocationJournal`. */
export interface Tombstones {
  /**
   * Writes that trust in a node has ended, Unix milliseconds, and how far its statements had been acted upon. Rejects
   * when that failed.
   */
  note(node: number, atMs: number, seenOrder: number): Promise<void>;
  /** Everything noted is in trust.json. Rejects when that could not be written. */
  clear(): Promise<void>;
}

/** What saving needs. */
export interface SaverDeps {
  readonly clock: Clock;
  readonly state: TrustState;
  /** Writes trust.json. */
  readonly write: (json: string) => Promise<void>;
  readonly tombstones: Tombstones;
  readonly log: Log;
}

/** Saves a trust state. */
export class StateSaver {
  readonly #deps: SaverDeps;
  readonly #timers: TimerSet;
  #savedRevision: number;
  /** The last revision that was written. */
  #writtenRevision: number;
  #saving: Promise<void> = Promise.resolve();
  #retries = false;

  constructor(deps: SaverDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
    this.#savedRevision = this.#writtenRevision = deps.state.revision;
  }

  /** What the state says is on disk: a crash takes nothing of it back. */
  get isSaved(): boolean {
    return this.#writtenRevision === this.#deps.state.revision;
  }

  /** Writes the state when it has changed; in order, and the caller continues only when it is on disk. */
  save(): Promise<void> {
    const { state, write } = this.#deps;
    const { revision } = state;
    if (revision !== this.#savedRevision) {
      this.#savedRevision = revision;
      const json = state.toFile();
      this.#saving = this.#saving.catch(() => {
        // The previous writer has the error; this is a new attempt with newer content.
      }).then(() => write(json)).then(() => {
        this.#writtenRevision = revision;
        return this.#clear(revision);
      }).catch((error) => {
        // Not on disk, so the next call tries again, and one follows automatically.
        if (this.#savedRevision === revision) this.#savedRevision = -1;
        this.#retryLater();
        throw error;
      });
    }
    return this.#saving;
  }

  /**
   * Writes the state after a revocation: it is on disk when this resolves, in its own place at least.
   *
   * @throws {PilotError} Of the write of trust.json, when there was no place either.
   */
  async saveRevocation(node: number, atMs: number): Promise<void> {
    const { state, tombstones } = this.#deps;
    const noted = tombstones.note(node, atMs, state.seenOrder(node));
    const isNoted = await noted.then(() => true, (error) => {
      this.#deps.log("warn", "no place to note a revocation", {
        peer_node_id: node,
        error: String(error),
      });
      return false;
    });
    await this.save().catch((error) => {
      if (!isNoted) throw error;
      this.#deps.log("warn", "trust state not written; the revocation is noted beside it", {
        peer_node_id: node,
        error: String(error),
      });
    });
  }

  /** Stops retrying to save what could not be saved. */
  close(): void {
    this.#timers.close();
  }

  async #clear(revision: number): Promise<void> {
    // A revocation that came meanwhile is not in the file yet.
    if (this.#deps.state.revision !== revision) return;
    await this.#deps.tombstones.clear().catch((error) =>
      // Harmless: at the next start they end what is older than they are, which trust.json has ended already.
      this.#deps.log("warn", "noted revocations not cleared", { error: String(error) })
    );
  }

  #retryLater(): void {
    if (this.#retries) return;
    this.#retries = true;
    this.#timers.after(SAVE_RETRY_MS, () => {
      this.#retries = false;
      this.save().catch((error) =>
        this.#deps.log("warn", "trust state still not written", { error: String(error) })
      );
    });
  }
}
