/**
 * Accepting connections. No client can end or hold up the loop: a connection that is broken before its turn costs
 * nothing, and where descriptors run out it continues as soon as one is free.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { plainClock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { pause } from "../waiting.ts";

/**
 * Longest pause between attempts to accept while the system lacks descriptors or memory, milliseconds: twenty failing
 * calls a second cost nothing, and a client notices no more of it once a descriptor is free.
 */
export const ACCEPT_PAUSE_MAX_MS = 50;
/** First pause of a shortage, milliseconds; doubled with each further failure. */
const ACCEPT_PAUSE_MIN_MS = 5;
/**
 * Connections taken, broken ones included, before all that stand get their turn: those that queue come without a turn
 * of the event loop, so a flood of them would hold up everything else. Still 20,000 a second.
 */
export const ACCEPTS_PER_TURN = 4;
/** Least time between two lines about the same trouble, milliseconds: clients can make trouble, but not fill the log. */
export const ACCEPT_LOG_INTERVAL_MS = 10_000;

/** Errors of the machine or the listener rather than of one connection: trying again at once would spin. */
const LASTING: ReadonlySet<string> = new Set([
  ...["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"], // shortages
  ...["EBADF", "EINVAL", "ENOTSOCK", "EOPNOTSUPP"], // the listener is none (any more)
]);

/** What an {@linkcode Acceptor} is made of. */
export interface AcceptorOptions<C extends { close(): void }> {
  /** What listens, for messages: "registry", "gateway". */
  readonly role: string;
  /** Where connections come from; owned from now on. */
  readonly listener: { accept(): Promise<C>; close(): void };
  readonly log: Logger;
  /** Takes a connection over, or closes it. When it throws the connection is closed. */
  readonly admit: (conn: C) => void;
  /** Called for a shortage in addition to the log, once for each burst of failures. */
  readonly onShortage?: (error: unknown) => void;
}

/** An accept loop. Ends by {@linkcode Acceptor.close} alone. */
export class Acceptor<C extends { close(): void }> {
  readonly #options: AcceptorOptions<C>;
  readonly #accepting: Promise<void>;
  readonly #lastLineMs = new Map<string, number>();
  readonly #ending = new AbortController();

  /**
   * Starts accepting.
   *
   * @param options The listener, and who takes the connections.
   */
  constructor(options: AcceptorOptions<C>) {
    this.#options = options;
    this.#accepting = this.#acceptAll();
  }

  async #acceptAll(): Promise<void> {
    let shortages = 0;
    for (let turns = 1; !this.#closed; turns++) {
      let conn: C;
      try {
        conn = await this.#options.listener.accept();
      } catch (error) {
        if (this.#closed) return;
        if (isLasting(error)) {
          if (this.#mayTell("shortage")) this.#tellShortage(error);
          const ms = Math.min(ACCEPT_PAUSE_MIN_MS * 2 ** shortages++, ACCEPT_PAUSE_MAX_MS);
          await pause(plainClock, ms, this.#ending.signal);
        } else if (turns % ACCEPTS_PER_TURN === 0) await setImmediate();
        continue;
      }
      shortages = 0;
      this.#admit(conn);
      if (turns % ACCEPTS_PER_TURN === 0) await setImmediate();
    }
  }

  #admit(conn: C): void {
    try {
      this.#options.admit(conn);
    } catch (error) {
      // Usually one that was reset meanwhile: some systems refuse options of its socket then.
      if (this.#mayTell("lost")) {
        const { role, log } = this.#options;
        log.debug(`${role} lost a connection before it was accepted`, { error: String(error) });
      }
      closeQuietly(conn);
    }
  }

  #tellShortage(error: unknown): void {
    const { role, log, onShortage } = this.#options;
    log.warn(`${role} cannot accept connections`, { error: String(error) });
    onShortage?.(error);
  }

  #mayTell(what: string): boolean {
    const nowMs = performance.now();
    if (nowMs - (this.#lastLineMs.get(what) ?? -Infinity) < ACCEPT_LOG_INTERVAL_MS) return false;
    this.#lastLineMs.set(what, nowMs);
    return true;
  }

  get #closed(): boolean {
    return this.#ending.signal.aborted;
  }

  /** Stops listening; once it resolves nothing more is admitted. */
  async close(): Promise<void> {
    if (this.#closed) return await this.#accepting;
    this.#ending.abort();
    closeQuietly(this.#options.listener);
    await this.#accepting;
  }
}

/** Does a failed accept say more than that this one connection was broken before its turn? */
function isLasting(error: unknown): boolean {
  if (error instanceof Deno.errors.BadResource) return true;
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" && LASTING.has(code);
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error; // closed before: what was wanted
  }
}
