/**
 * One exchange over a stream connection: send everything, take the answer to its end. Not every peer knows half close
 * (docs/protocol/streams.md §6.5), and programs of existing SDKs answer nothing after the end of what they read, so a
 * sender says "that was all" only when asked to. What counts as the end of an answer is decided here, and never by a
 * short silence.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import type { Conn } from "../sdk/mod.ts";
import { counted } from "./output.ts";
import { plainClock } from "../platform/clock.ts";
import { inTime } from "../platform/waiting.ts";

/** What the exchange uses of a connection. */
export type ExchangeConn = Pick<Conn, "read" | "write" | "closeWrite">;

/** What was under way when the peer closed gets this long to settle, milliseconds. */
const SETTLE_MS = 1_000;

/** How to exchange. */
export interface ExchangeOptions {
  /** What to send. */
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Gets each chunk of the answer. */
  sink: (chunk: Uint8Array) => void;
  /** Closes the connection for writing behind the last byte; fails with `unavailable` where that is not possible. */
  closeWrite?: boolean | undefined;
  /** Longest silence of the peer once everything is sent, milliseconds; then `timeout`. 0 for no limit. */
  timeoutMs: number;
  /** A silence of this length, once everything is sent, is the end of the answer, milliseconds. */
  endAfterMs?: number | undefined;
  /** Without a first byte within this time after everything was sent there is no answer, milliseconds. */
  noAnswerMs?: number | undefined;
  /** The answer is what was sent: it is complete when it is as long. */
  isEcho?: boolean;
  /** The source is a person, who may be left in the middle: the peer's close is an end like any other. */
  isSession?: boolean;
  /** Gives up. */
  signal: AbortSignal;
}

/**
 * Why an exchange ended: the peer closed, as much came back as was sent, the peer was silent for `endAfterMs`, or for
 * `noAnswerMs` from the start.
 */
export type ExchangeEnd = "closed" | "echoed" | "silence" | "no answer";

/** What was exchanged. */
export interface Exchanged {
  /** Bytes sent. */
  sent: number;
  /** Bytes received. */
  received: number;
  /** Why it ended. */
  end: ExchangeEnd;
}

/**
 * Sends everything and takes the answer at the same time, until it ends.
 *
 * @param conn The connection; it stays open, and what was sent may still be on its way: only an orderly close says that
 * it has arrived.
 * @param options What and how.
 * @returns The counts.
 * @throws {PilotError} Why the connection failed; `connection_closed` when the peer closed before everything was sent;
 * `timeout` when it fell silent before the end; `aborted`. What arrived has been given to the sink.
 */
export async function exchange(conn: ExchangeConn, options: ExchangeOptions): Promise<Exchanged> {
  return await new Exchange(conn, options).run();
}

class Exchange {
  readonly #conn: ExchangeConn;
  readonly #options: ExchangeOptions;
  /** Stops reading. */
  readonly #stop = new AbortController();
  #sent = 0;
  #received = 0;
  #allSent = false;
  #end: ExchangeEnd | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(conn: ExchangeConn, options: ExchangeOptions) {
    this.#conn = conn;
    this.#options = options;
  }

  async run(): Promise<Exchanged> {
    const receiving = this.#receive();
    receiving.catch(() => {}); // awaited below; a failure while we still send must not count as unhandled
    try {
      await this.#send(receiving);
      this.#allSent = true;
      this.#watch();
      await receiving;
      const end = this.#end;
      if (end !== undefined) return { sent: this.#sent, received: this.#received, end };
      const { timeoutMs } = this.#options;
      throw new PilotError(
        "timeout",
        this.#received === 0
          ? `No answer within ${timeoutMs / 1000} s`
          : `The peer fell silent for ${timeoutMs / 1000} s after ${
            counted(this.#received, "byte")
          } without closing`,
      );
    } finally {
      clearTimeout(this.#timer);
      this.#stop.abort();
    }
  }

  async #send(receiving: Promise<void>): Promise<void> {
    const { source, signal, isSession = false, closeWrite = false } = this.#options;
    const chunks = iterate(source);
    const closed = receiving.then(() => undefined);
    closed.catch(() => {}); // the race below reports it
    try {
      for (;;) {
        const reading = chunks.next();
        reading.catch(() => {}); // likewise, or nobody needs it any more
        let next = await Promise.race([reading, closed]);
        if (next === undefined && isSession) return;
        next ??= await inTime(plainClock, reading, SETTLE_MS); // the end of our input may not have shown yet
        if (next === undefined || this.#end === "closed" && next.done !== true) {
          throw new PilotError(
            "connection_closed",
            `The peer closed before everything was sent (${counted(this.#sent, "byte")} were)`,
          );
        }
        if (next.done === true) break;
        await this.#conn.write(next.value, { signal });
        this.#sent += next.value.length;
      }
      if (closeWrite) await this.#conn.closeWrite({ signal });
    } catch (error) {
      // A peer that refuses what we send may say why before it closes.
      if (!signal.aborted) await inTime(plainClock, receiving.catch(() => {}), SETTLE_MS);
      throw error;
    } finally {
      // Not awaited: it waits behind a read that may never end.
      chunks.return?.().catch(() => {});
    }
  }

  async #receive(): Promise<void> {
    const { sink, signal } = this.#options;
    const stop = this.#stop.signal;
    const either = AbortSignal.any([signal, stop]);
    try {
      for (;;) {
        const chunk = await this.#conn.read({ signal: either });
        if (chunk === undefined) break;
        this.#received += chunk.length;
        sink(chunk);
        if (this.#allSent) this.#watch();
      }
      this.#end = "closed";
    } catch (error) {
      if (!stop.aborted || signal.aborted) throw error;
    }
  }

  /** Restarts the wait for the next byte. */
  #watch(): void {
    clearTimeout(this.#timer);
    if (this.#end !== undefined) return;
    const { timeoutMs, endAfterMs, noAnswerMs, isEcho } = this.#options;
    if (isEcho && this.#received >= this.#sent) return this.#finish("echoed");
    if (endAfterMs !== undefined) return this.#after(endAfterMs, "silence");
    if (this.#received === 0 && noAnswerMs !== undefined) {
      return this.#after(noAnswerMs, "no answer");
    }
    if (timeoutMs > 0) this.#after(timeoutMs, undefined);
  }

  #after(ms: number, end: ExchangeEnd | undefined): void {
    this.#timer = setTimeout(() => this.#finish(end), ms);
  }

  #finish(end: ExchangeEnd | undefined): void {
    this.#end = end;
    this.#stop.abort();
  }
}

async function* iterate(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield* source;
}
