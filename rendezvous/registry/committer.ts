/**
 * Group commit: everything that changed in one turn of the event loop goes to the store in one transaction, and
 * only then the requests of that turn are answered.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** What a {@linkcode Committer} works on. */
export interface CommitterOptions<B> {
  /** Takes the changes out of memory. Called only when a commit was asked for. */
  readonly take: () => B;
  /** Makes a batch durable. */
  readonly commit: (batch: B) => Promise<void>;
  /** Called with each failure. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Collects waiting requests and commits for all of them at once.
 *
 * @typeParam B A batch of changes.
 */
export class Committer<B> {
  readonly #options: CommitterOptions<B>;
  /** The pending commit that will include current changes; its transaction has not begun. */
  #next: Promise<void> | undefined;
  /** The transaction that runs, or the last one. Never rejects. */
  #running: Promise<void> = Promise.resolve();
  /** Batches whose commit failed, oldest first; they are part of memory, so they go before anything newer. */
  #failed: B[] = [];

  /** @param options What to commit and where. */
  constructor(options: CommitterOptions<B>) {
    this.#options = options;
  }

  /**
   * False after a failed commit until {@linkcode Committer.retry} succeeds. The owner then refuses changes, so
   * memory does not run ahead of the store.
   */
  get healthy(): boolean {
    return this.#failed.length === 0;
  }

  /**
   * Waits for what is being written, without asking for a commit: for a request that found its change made
   * already, perhaps a moment ago.
   *
   * @returns Rejects when something could not be written.
   */
  async caughtUp(): Promise<void> {
    if (this.#next !== undefined) return await this.#next;
    await this.#running;
    if (!this.healthy) throw new Error("an earlier change is not stored");
  }

  /**
   * Waits until everything changed so far is durable.
   *
   * @returns Rejects with the store's error when it could not be written.
   */
  committed(): Promise<void> {
    this.#next ??= this.#schedule();
    return this.#next;
  }

  async #schedule(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    // A retry may have queued up behind the transaction that was awaited.
    for (let seen; seen !== this.#running;) await (seen = this.#running);
    this.#next = undefined;
    const work = this.#write(this.#options.take());
    // The requests of this commit see its error; the one after it only needs to know that it has ended.
    this.#running = work.catch(() => {});
    await work;
  }

  async #write(batch: B): Promise<void> {
    this.#failed.push(batch);
    try {
      await this.#writeFailed();
    } catch (error) {
      this.#options.onFailure(error);
      throw error;
    }
  }

  /** Writes what is queued, in order. */
  async #writeFailed(): Promise<void> {
    for (let batch = this.#failed[0]; batch !== undefined; batch = this.#failed[0]) {
      await this.#options.commit(batch);
      this.#failed.shift();
    }
  }

  /** Tries again what could not be written. Errors go to `onFailure` only. */
  async retry(): Promise<void> {
    const work = this.#running.then(() => this.#writeFailed());
    this.#running = work.catch((error) => this.#options.onFailure(error));
    await this.#running;
  }

  /** Waits until nothing is being written. */
  async idle(): Promise<void> {
    while (this.#next !== undefined) {
      await this.#next.catch(() => {}); // reported to the requests of that commit
    }
    await this.#running;
  }
}
