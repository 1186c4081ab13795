/**
 * `recv`: takes connections one after another, each to its end.
 *
 * @module
 */

import { hintOf } from "../advice_text.ts";
import { formatAddress } from "../../protocol/address.ts";
import { PilotError, remedyOf } from "../../protocol/errors.ts";
import type { Conn } from "../../sdk/mod.ts";
import { exchange } from "../exchange.ts";
import { OutputClosed } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import { errorText, makeStyle, type Outcome } from "../output.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { parseListenPort, parsePort } from "../parse.ts";
import { Collected, payloadFields } from "../payload.ts";
import { PassOn, safeJson, show } from "../terminal_text.ts";
import { within } from "../wait.ts";

/** Longest wait for a connection when a number of them is waited for and `--timeout` is not given, milliseconds. */
const ACCEPT_TIMEOUT_MS = 30_000;

/** What `recv` has taken so far. */
interface Progress {
  /** Connections accepted. */
  seen: number;
  /** For the JSON envelope. */
  messages: Record<string, unknown>[];
  /** Why the first connection that broke did. */
  failure: PilotError | undefined;
}

/**
 * Runs `recv`.
 *
 * @param call The running command.
 * @returns The outcome; undefined when everything is printed.
 * @throws {PilotError} `timeout` when too few came, `aborted`, or why a connection broke: after the others were taken.
 */
export async function recv(call: Invocation): Promise<Outcome | undefined> {
  const port = parseListenPort(call.arg(0, "port"));
  const count = call.options.number("count") ?? 1;
  const isEndless = count === 0;
  const what = `Receiving on port ${port}`;
  const acceptMs = call.options.number("timeout") ?? (isEndless ? 0 : ACCEPT_TIMEOUT_MS);
  const progress: Progress = { seen: 0, messages: [], failure: undefined };
  const driver = await call.driver();
  await using listener = await driver.listen(port, { signal: call.signal });
  try {
    while (isEndless || progress.seen < count) {
      const conn = await within(
        acceptMs,
        call.signal,
        what,
        (signal) => listener.accept({ signal }),
      );
      await take(call, conn, progress, isEndless);
    }
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    if (isEndless && call.signal.aborted && progress.failure === undefined) {
      call.note(`${what}: ${progress.seen} received`); // the only way to end it: no failure
      return { data: {}, silent: true, exitCode: EXIT_CODES.aborted };
    }
    throw explained(call, PilotError.from(error, "internal"), { what, count, ...progress });
  }
  const data = { messages: progress.messages, timeout: false };
  const { failure } = progress;
  if (failure === undefined) return { data };
  throw call.failure(failure.code, failure.message, { data, ...remedyOf(failure) });
}

/** Says how far it came, with what arrived. */
function explained(
  call: Invocation,
  error: PilotError,
  { what, count, seen, messages }: Progress & { what: string; count: number },
): PilotError {
  const isInterrupted = error.code === "aborted" && call.signal.aborted;
  if (error.code !== "timeout" && !isInterrupted) return error;
  const data = count === 0 ? {} : { data: { messages, timeout: !isInterrupted } };
  const of = count === 0 ? `${seen}` : `${seen} of ${count}`;
  const message = isInterrupted ? `${what}: interrupted after ${of}` : `${what}: ${of} arrived`;
  return call.failure(error.code, message, data);
}

/** Takes one connection to its end. Only Ctrl-C and an output that fails end the command. */
async function take(
  call: Invocation,
  conn: Conn,
  progress: Progress,
  isEndless: boolean,
): Promise<void> {
  const { stdout, stderr } = call.host;
  const from = formatAddress(conn.remoteAddress);
  const record = {
    seq: progress.seen++,
    port: conn.localPort ?? parsePort(call.arg(0, "port")),
    from,
  };
  const collected = new Collected("The message");
  const shown = call.json ? undefined : new PassOn(stdout, from);
  let outputError: unknown;
  const sink = (chunk: Uint8Array) => {
    if (shown === undefined) return collected.add(chunk);
    try {
      shown.write(chunk);
    } catch (error) {
      outputError = error;
      throw error;
    }
  };
  const keep = (data: Record<string, unknown>) => {
    if (isEndless) show(stdout, safeJson(data));
    else progress.messages.push(data);
  };
  try {
    const { received } = await exchange(conn, {
      source: [],
      sink,
      timeoutMs: call.options.number("timeout") ?? 0,
      endAfterMs: call.options.number("end-after"),
      signal: call.signal,
    });
    await conn.close({ signal: call.signal });
    if (call.json) keep({ ...record, ...payloadFields(collected.bytes), bytes: received });
    shown?.end();
  } catch (error) {
    conn.abort(); // the sender learns that it did not arrive
    if (outputError !== undefined) throw outputError; // not a matter of the connection
    shown?.end();
    const failure = PilotError.from(error, "connection_failed");
    if (failure.code === "aborted" && call.signal.aborted) throw failure;
    const named = new PilotError(failure.code, `From ${from}: ${failure.message}`, {
      ...(hintOf(failure) === undefined
        ? { hint: "What has arrived is incomplete; the sender must send it again." }
        : remedyOf(failure)),
      cause: failure,
    });
    if (call.json) keep({ ...record, error: failure.message, code: failure.code });
    else if (progress.failure !== undefined || isEndless) {
      show(stderr, errorText(named, makeStyle(false))); // the first of a number is reported at the end
    }
    progress.failure ??= named;
  }
}
