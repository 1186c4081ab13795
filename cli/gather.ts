/**
 * Collecting things that arrive one by one: messages, datagrams, events.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import { EXIT_CODES } from "./exit_codes.ts";
import type { Invocation } from "./invocation.ts";
import type { Outcome } from "./output.ts";
import { passOn, payloadText, safe } from "./terminal_text.ts";
import { within } from "./wait.ts";

/** Default of `--timeout` when a number of things is waited for, milliseconds. */
const TIMEOUT_MS = 30_000;

/** One received thing. */
export interface Arrival {
  /** For JSON. */
  data: Record<string, unknown>;
  /** For people. */
  body: Uint8Array;
  /** Put before the body in brackets. */
  label: string;
}

/** How {@linkcode gather} works. */
export interface GatherOptions {
  /** How many; 0 for no end. */
  count: number;
  /** Named in the timeout error. */
  what: string;
  /** Key of the list in JSON; default `messages`. */
  key?: string;
  /** A pipe or file gets the bodies alone and as they are; default false. */
  isRaw?: boolean;
  /** Default of `--timeout`, milliseconds; 0 for no limit. */
  timeoutMs?: number;
}

/**
 * Collects arrivals until there are enough, the time is up, or the source ends. Without a count every arrival is
 * printed at once (with `--json` one object per line); with one, `--json` gives a single envelope.
 *
 * @param call The running command.
 * @param options How many.
 * @param next Waits for one; undefined when there will be no more.
 * @returns The outcome; undefined when everything is printed.
 * @throws {PilotError} `timeout` with what arrived, when a count was asked for and not reached; `aborted` likewise.
 */
export async function gather(
  call: Invocation,
  options: GatherOptions,
  next: (seq: number, signal: AbortSignal) => Promise<Arrival | undefined>,
): Promise<Outcome | undefined> {
  const { count, what, key = "messages", isRaw = false } = options;
  const isEndless = count === 0;
  const limit = call.options.number("timeout") ??
    (isEndless ? 0 : options.timeoutMs ?? TIMEOUT_MS);
  const arrivals: Record<string, unknown>[] = [];
  let seen = 0;
  const loop = async (signal: AbortSignal) => {
    while (isEndless || seen < count) {
      const arrival = await next(seen, signal);
      if (arrival === undefined) {
        if (!isEndless) return;
        throw new PilotError("connection_closed", `${what} ended after ${seen}`, {
          hint: "Check whether the daemon is running: pilotctl daemon status",
        });
      }
      seen++;
      if (call.json && !isEndless) arrivals.push(arrival.data);
      else if (!call.json && isRaw && !call.host.stdout.isTerminal) {
        passOn(call.host.stdout, arrival.body);
      } else call.emit(arrival.data, safe`[${arrival.label}] ${payloadText(arrival.body)}`);
    }
  };
  /** What came before Ctrl-C is not lost. */
  const interrupted = () =>
    call.failure(
      "aborted",
      `${what}: interrupted after ${seen} of ${count}`,
      { data: { [key]: arrivals, timeout: false } },
    );
  let timedOut = false;
  try {
    await within(limit, call.signal, what, loop);
  } catch (error) {
    const code = error instanceof PilotError ? error.code : undefined;
    timedOut = code === "timeout";
    if (code === "aborted" && call.signal.aborted) {
      if (!isEndless) throw interrupted();
      call.note(`${what}: ${seen} received`); // the only way to end it: no failure
      return { data: {}, silent: true, exitCode: EXIT_CODES.aborted };
    }
    if (!timedOut) throw error;
  }
  if (isEndless) return undefined;
  const data = { [key]: arrivals, timeout: timedOut };
  if (!timedOut && seen === count) return { data };
  const message = `${what}: ${seen} of ${count} arrived`;
  throw call.failure(timedOut ? "timeout" : "connection_closed", message, { data });
}
