/**
 * Work in progress that its starter does not await, but must await before it ends itself.
 *
 * @module
 */

/** Tasks in the background. */
export class TaskSet {
  readonly #tasks = new Set<Promise<unknown>>();
  readonly #failed: (error: unknown) => void;

  /**
   * @param failed Called when a task has failed. Without it tasks must not fail: a failure is an unhandled rejection.
   */
  constructor(failed?: (error: unknown) => void) {
    this.#failed = failed ?? ((error) => {
      throw error;
    });
  }

  /** Tasks under way. */
  get size(): number {
    return this.#tasks.size;
  }

  /** Keeps a task until it has ended. */
  add(task: Promise<unknown>): void {
    const tracked = task.catch(this.#failed).finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  /** Resolves when the tasks that are under way now have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#tasks);
  }
}
