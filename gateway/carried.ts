/**
 * One TCP connection carried over one stream connection, bytes both ways with back-pressure.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import type { Conn } from "../sdk/mod.ts";
import { setGuardedTimeout } from "../platform/timers.ts";

/**
 * Longest silence of the agent after the client has ended its side and before anything was answered, milliseconds.
 * Existing agents cannot be notified of that end: what waits for a slow answer and what has gone away look alike.
 */
export const UNANSWERED_SILENCE_MS = 60_000;
/**
 * The same once an answer has begun, milliseconds: longer than the pauses a lossy path makes in one, and short, since
 * each client that ends first holds a place at the agent for it.
 */
export const ANSWERED_SILENCE_MS = 2_000;
/** Longest silence of both sides, milliseconds: what RFC 5382 asks of a NAT. */
export const IDLE_MS = 7_440_000;
/** Bytes read of a client at a time. */
const READ_BYTES = 64 * 1024;

/** How long a carried connection may be silent; see the constants of the same names. All in milliseconds. */
export interface SilenceLimits {
  /** Default {@linkcode UNANSWERED_SILENCE_MS}. */
  readonly unansweredMs: number;
  /** Default {@linkcode ANSWERED_SILENCE_MS}. */
  readonly answeredMs: number;
  /** Default {@linkcode IDLE_MS}. */
  readonly idleMs: number;
}

/** The client has broken its connection: nobody is left to notify. */
class ClientGone extends Error {}

/** One connection. */
export class Carried {
  readonly #tcp: Deno.TcpConn;
  readonly #limits: SilenceLimits;
  readonly #dialing = new AbortController();
  readonly #silence = Promise.withResolvers<void>();
  #conn: Conn | undefined;
  #isEnded = false;
  #isClientDone = false;
  /** The agent knows that the client has ended its side. */
  #isAgentTold = false;
  #isAnswered = false;
  #isFinishing = false;
  /** The client takes what it was sent; if it does not, that is no silence of the agent. */
  #isWriting = false;
  #lastByteMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param tcp The client's connection; owned from now on.
   * @param limits How long it may be silent.
   */
  constructor(tcp: Deno.TcpConn, limits: SilenceLimits) {
    this.#tcp = tcp;
    this.#limits = limits;
  }

  /** How long nothing was carried, milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#lastByteMs;
  }

  /** Has the client ended after an answer had begun? Whether the rest of it is still wanted is unknown. */
  get isLingering(): boolean {
    return this.#isClientDone && !this.#isAgentTold && this.#isAnswered && !this.#isWriting &&
      !this.#isFinishing;
  }

  /** Ends in order: what the client has sent still arrives. */
  finish(): void {
    this.#isFinishing = true;
    this.#silence.resolve();
  }

  /**
   * Carries until one side has ended.
   *
   * @param dial Connects to the agent.
   * @throws {PilotError} Why the agent's side failed. That the client broke its own, or {@linkcode Carried.end}, is no
   * failure.
   */
  async run(dial: (signal: AbortSignal) => Promise<Conn>): Promise<void> {
    try {
      const buffer = new Uint8Array(READ_BYTES);
      const first = this.#read(buffer);
      // One that resets meanwhile does not occupy the agent.
      first.catch(() => {
        if (this.#conn === undefined) this.#dialing.abort();
      });
      this.#conn = await dial(this.#dialing.signal);
      if (this.#isEnded) this.#conn.abort();
      this.#watch();
      await this.#carry(this.#conn, buffer, first);
    } catch (error) {
      this.#conn?.abort();
      const isExpected = this.#isEnded || this.#dialing.signal.aborted ||
        error instanceof ClientGone;
      if (!isExpected) throw PilotError.from(error, "connection_failed");
    } finally {
      clearTimeout(this.#timer);
      this.#closeTcp();
    }
  }

  /** Ends both sides at once. */
  end(): void {
    this.#isEnded = true;
    this.#dialing.abort();
    this.#conn?.abort();
    this.#closeTcp();
  }

  async #carry(
    conn: Conn,
    buffer: Uint8Array,
    first: Promise<number | null>,
  ): Promise<void> {
    const upward = this.#upward(conn, buffer, first);
    const downward = this.#downward(conn);
    // An agent that takes no more may still be answering.
    const clientDone = upward.catch((error) => {
      if (error instanceof ClientGone) throw error;
    });
    try {
      await Promise.race([
        Promise.all([clientDone, downward]),
        // What the client might still send has no receiver.
        Promise.all([conn.closed, downward]),
        this.#silence.promise,
      ]);
      // Silence is an end as well: the client learns it now, the agent when it has taken everything.
      this.#closeTcp();
      await conn.close();
    } catch (error) {
      conn.abort();
      this.#closeTcp();
      throw error;
    } finally {
      await Promise.allSettled([upward, downward]);
    }
  }

  async #upward(conn: Conn, buffer: Uint8Array, first: Promise<number | null>): Promise<void> {
    for (let count = await first; count !== null; count = await this.#read(buffer)) {
      this.#touch();
      await conn.write(buffer.subarray(0, count));
    }
    this.#isClientDone = this.#isAgentTold = true;
    this.#touch();
    try {
      await conn.closeWrite();
    } catch (error) {
      if (!(error instanceof PilotError && error.code === "unavailable")) throw error;
      this.#isAgentTold = false;
    }
    this.#watch();
  }

  async #downward(conn: Conn): Promise<void> {
    for (let chunk = await conn.read(); chunk !== undefined; chunk = await conn.read()) {
      this.#isAnswered = true;
      this.#isWriting = true;
      try {
        for (let at = 0; at < chunk.length;) at += await this.#tcp.write(chunk.subarray(at));
      } catch (error) {
        throw new ClientGone(String(error));
      }
      this.#isWriting = false;
      this.#touch();
      if (this.#isClientDone) this.#watch();
    }
    await this.#endDownward();
  }

  /** The agent sends no more: the client learns it, and may itself continue. */
  async #endDownward(): Promise<void> {
    try {
      await this.#tcp.closeWrite();
    } catch (error) {
      if (!this.#isEnded && !this.#isFinishing) throw new ClientGone(String(error));
    }
  }

  async #read(buffer: Uint8Array): Promise<number | null> {
    try {
      return await this.#tcp.read(buffer);
    } catch (error) {
      throw new ClientGone(String(error));
    }
  }

  #touch(): void {
    this.#lastByteMs = performance.now();
  }

  /** Looks again when the silence would be too long if nothing came until then. */
  #watch(): void {
    clearTimeout(this.#timer);
    const leftMs = this.#silenceLimitMs - this.silentMs;
    if (leftMs <= 0) this.finish();
    else this.#timer = setGuardedTimeout(() => this.#watch(), leftMs);
  }

  get #silenceLimitMs(): number {
    const { answeredMs, unansweredMs, idleMs } = this.#limits;
    if (!this.#isClientDone || this.#isAgentTold || this.#isWriting) return idleMs;
    return this.#isAnswered ? answeredMs : unansweredMs;
  }

  /** May have been closed by the other direction meanwhile. */
  #closeTcp(): void {
    try {
      this.#tcp.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
