/**
 * Time limits of many calls under one timer: a timer for each would cost more than a datagram.
 *
 * @module
 */

/** Something with a time limit. */
export interface Timed {
  /** Time is up. */
  onTimeout(): void;
}

interface Line {
  /** In the order in which they end, as all have the same limit. */
  readonly ends: Map<Timed, number>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The calls of one session that wait. One line for each limit in use, which are few. */
export class Deadlines {
  readonly #lines = new Map<number, Line>();

  /**
   * Starts a limit.
   *
   * @param timed Called when time is up, unless {@linkcode Deadlines.stop} comes first.
   * @param timeoutMs The limit, milliseconds.
   */
  start(timed: Timed, timeoutMs: number): void {
    let line = this.#lines.get(timeoutMs);
    if (line === undefined) {
      line = { ends: new Map(), timer: undefined };
      this.#lines.set(timeoutMs, line);
    }
    line.ends.set(timed, performance.now() + timeoutMs);
    if (line.timer === undefined) this.#arm(line, timeoutMs, timeoutMs);
  }

  /**
   * Ends a limit.
   *
   * @param timed Who has what it waited for.
   * @param timeoutMs The limit it was started with.
   */
  stop(timed: Timed, timeoutMs: number): void {
    const line = this.#lines.get(timeoutMs);
    if (line === undefined || !line.ends.delete(timed) || line.ends.size > 0) return;
    // A timer that runs for nobody would keep the program alive. Calls one after the other make and end one each.
    clearTimeout(line.timer);
    this.#lines.delete(timeoutMs);
  }

  #arm(line: Line, timeoutMs: number, delayMs: number): void {
    line.timer = setTimeout(() => {
      line.timer = undefined;
      const now = performance.now();
      const due: Timed[] = [];
      for (const [timed, endMs] of line.ends) {
        // Timers may come a millisecond early.
        if (endMs > now + 1) {
          this.#arm(line, timeoutMs, endMs - now);
          break;
        }
        line.ends.delete(timed);
        due.push(timed);
      }
      if (line.ends.size === 0) this.#lines.delete(timeoutMs);
      // Last, as they may start others.
      for (const timed of due) timed.onTimeout();
    }, delayMs);
  }
}
