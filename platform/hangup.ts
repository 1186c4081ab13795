/**
 * SIGHUP, which means two things: the terminal has gone, or a log was renamed and is to be reopened.
 *
 * @module
 */

import { isatty } from "node:tty";

const STANDARD_STREAMS: readonly number[] = [0, 1, 2];

/** What to do. */
export interface HangupActions {
  /** The terminal of a program in the foreground has gone. */
  stop(): void;
  /** A program without a terminal is to reopen its log; by default nothing is done. */
  reopen?: (() => void) | undefined;
}

/**
 * Listens for SIGHUP. Whether there is a terminal is looked at now: one that has gone cannot be asked any more.
 *
 * @param actions What to do.
 * @returns Stops listening.
 */
export function onHangup({ stop, reopen = () => {} }: HangupActions): () => void {
  if (Deno.build.os === "windows") return () => {};
  const hasTerminal = STANDARD_STREAMS.some((descriptor) => isatty(descriptor));
  const listener = hasTerminal ? stop : reopen;
  Deno.addSignalListener("SIGHUP", listener);
  return () => Deno.removeSignalListener("SIGHUP", listener);
}
