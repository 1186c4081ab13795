/**
 * Replay protection of PILS frames (docs/protocol/tunnel.md §5.3): a sliding window of counters for each nonce prefix.
 *
 * @module
 */

/**
 * Counters one window looks back. Existing peers use 256 (docs/protocol/tunnel.md §5.3), which a satellite link or
 * frames that take two paths can exceed; how far we look back is nobody else's concern. A power of two.
 */
export const REPLAY_WINDOW_COUNTERS = 2048;
const MASK = REPLAY_WINDOW_COUNTERS - 1;

/** Prefixes of a peer that stay open beside the newest: frames of an earlier session may still be in flight. */
export const OLDER_PREFIXES = 4;

/**
 * Prefixes remembered as closed, so that frames recorded under them cannot be played again. Some peers take a new
 * prefix with every key exchange; a thousand of them under one key is far beyond an honest session.
 */
export const CLOSED_PREFIXES = 1024;

/** A sliding window over the last {@linkcode REPLAY_WINDOW_COUNTERS} counters. Counters are integers below 2^53. */
export class ReplayWindow {
  /** One bit per counter, at counter modulo the window. */
  readonly #bits: Uint32Array = new Uint32Array(REPLAY_WINDOW_COUNTERS / 32);
  #newest = -1;

  /** The highest counter committed; -1 when there is none. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * Returns whether a counter is too far behind to be judged.
   *
   * @param counter The counter.
   * @returns True when it lies {@linkcode REPLAY_WINDOW_COUNTERS} or more behind the newest, or is not an integer in 0..2^53-1.
   */
  isOld(counter: number): boolean {
    return !Number.isSafeInteger(counter) || counter < 0 ||
      this.#newest - counter >= REPLAY_WINDOW_COUNTERS;
  }

  /**
   * Returns whether a counter is new.
   *
   * @param counter The counter of an authenticated frame.
   * @returns True when it was not committed before and is not too old.
   */
  check(counter: number): boolean {
    if (this.isOld(counter)) return false;
    if (counter > this.#newest) return true;
    return (this.#bits[(counter & MASK) >>> 5]! >>> (counter & 31) & 1) === 0;
  }

  /**
   * Records a counter that {@linkcode ReplayWindow.check} found new. Others are ignored.
   *
   * @param counter The counter.
   */
  commit(counter: number): void {
    if (this.isOld(counter)) return;
    if (counter - this.#newest >= REPLAY_WINDOW_COUNTERS) {
      this.#bits.fill(0);
      this.#newest = counter;
    }
    // What lies between was skipped; its bits are those of counters that now leave the window.
    while (this.#newest < counter) {
      this.#newest++;
      this.#bits[(this.#newest & MASK) >>> 5]! &= ~(1 << (this.#newest & 31));
    }
    this.#bits[(counter & MASK) >>> 5]! |= 1 << (counter & 31);
  }
}

/**
 * The windows of one peer key, one for each nonce prefix: a peer may restart its counter under a new prefix. To be
 * asked only after the frame was authenticated, so that a forged frame changes nothing.
 */
export class ReplayWindows {
  #prefix = -1;
  #window = new ReplayWindow();
  /** Least recently used first. */
  readonly #older: Map<number, ReplayWindow> = new Map();
  /** First closed first. */
  readonly #closed: Set<number> = new Set();

  /**
   * Judges and records the nonce of an authenticated frame.
   *
   * @param prefix Nonce prefix, unsigned 32 bit.
   * @param counter Nonce counter.
   * @returns `ok` for a new frame; `replay` for one that was seen under the present prefix (reported as an event);
   * `old` for one that is too far behind, or was refused under an earlier prefix (dropped silently).
   */
  accept(prefix: number, counter: number): "ok" | "replay" | "old" {
    if (prefix === this.#prefix) {
      if (this.#window.check(counter)) {
        this.#window.commit(counter);
        return "ok";
      }
      return this.#window.isOld(counter) ? "old" : "replay";
    }
    const older = this.#older.get(prefix);
    if (older !== undefined) return this.#acceptOlder(prefix, older, counter);
    if (this.#closed.has(prefix) || !Number.isSafeInteger(counter)) {
      return "old";
    }
    this.#open(prefix);
    this.#window.commit(counter);
    return "ok";
  }

  #acceptOlder(
    prefix: number,
    window: ReplayWindow,
    counter: number,
  ): "ok" | "old" {
    if (!window.check(counter)) return "old";
    window.commit(counter);
    this.#older.delete(prefix);
    this.#older.set(prefix, window);
    return "ok";
  }

  #open(prefix: number): void {
    if (this.#prefix >= 0) this.#older.set(this.#prefix, this.#window);
    this.#prefix = prefix;
    this.#window = new ReplayWindow();
    if (this.#older.size <= OLDER_PREFIXES) return;
    const [least] = this.#older.keys();
    this.#older.delete(least!);
    this.#closed.add(least!);
    if (this.#closed.size <= CLOSED_PREFIXES) return;
    const [first] = this.#closed;
    this.#closed.delete(first!);
  }
}
