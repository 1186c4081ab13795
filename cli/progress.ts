/**
 * A progress bar on stderr. (The packages for this have had no release for years; it is forty lines.)
 *
 * @module
 */

import { formatBytes } from "./output.ts";
import type { OutStream } from "./standard_streams.ts";
import { printable, redraw } from "./terminal_text.ts";

/** At most ten redraws per second: more only costs. */
const REDRAW_MS = 100;
/** Columns of the bar itself. */
const BAR_COLUMNS = 24;

/** Shows how far a transfer is. Does nothing where no person watches. */
export class ProgressBar implements Disposable {
  readonly #out: OutStream | undefined;
  readonly #label: string;
  readonly #now: () => number;
  #start: { at: number; bytes: number } | undefined;
  #drawnAt = -Infinity;

  /**
   * @param out Where to draw; undefined draws nothing.
   * @param label Put before the bar.
   * @param now Monotonic milliseconds.
   */
  constructor(
    out: OutStream | undefined,
    label: string,
    now: () => number = () => performance.now(),
  ) {
    this.#out = out;
    this.#label = printable(label);
    this.#now = now;
  }

  /**
   * Notes progress.
   *
   * @param bytes Bytes done.
   * @param total Bytes in all.
   */
  update(bytes: number, total: number): void {
    const now = this.#now();
    this.#start ??= { at: now, bytes };
    if (this.#out === undefined || (now - this.#drawnAt < REDRAW_MS && bytes < total)) return;
    this.#drawnAt = now;
    const part = total === 0 ? 1 : Math.min(1, bytes / total);
    const filled = Math.round(part * BAR_COLUMNS);
    const bar = "#".repeat(filled) + "-".repeat(BAR_COLUMNS - filled);
    const seconds = (now - this.#start.at) / 1000;
    const rate = seconds > 0 ? (bytes - this.#start.bytes) / seconds : 0;
    const line = `${this.#label} [${bar}] ${String(Math.floor(part * 100)).padStart(3)}%  ` +
      `${formatBytes(bytes)} of ${formatBytes(total)}${rate > 0 ? `, ${formatBytes(rate)}/s` : ""}`;
    redraw(this.#out, line.slice(0, (this.#out.columns ?? 80) - 1));
  }

  /** Removes the bar. */
  [Symbol.dispose](): void {
    if (this.#drawnAt === -Infinity) return;
    if (this.#out !== undefined) redraw(this.#out, "");
  }
}
