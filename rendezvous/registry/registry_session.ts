/**
 * One registry connection: detects the mode, answers requests one after the other, and ends when it misbehaves
 * (docs/protocol/registry.md §1.2, §1.6).
 *
 * @module
 */

import { concatBytes } from "../../protocol/bytes.ts";
import { DecodeError } from "../../protocol/errors.ts";
import {
  BINARY_PREAMBLE,
  type BinaryFrame,
  BinaryFrameReader,
  JsonFrameReader,
  type JsonObject,
} from "../../protocol/registry/registry_message.ts";
import { answerBinaryFrame, answerJsonFrame, binaryError } from "./answer.ts";
import type { RegistryCore } from "./core.ts";
import type { Peer } from "./context.ts";
import {
  FRAME_MS,
  IDLE_MS,
  LARGE_REQUEST_BYTES,
  MAX_REQUEST_BYTES,
  RATE_CLOSE,
  RATE_DELAY_MS,
  RATE_GUARD_AFTER_MS,
  RATE_SLOW,
  READ_BYTES,
  REQUESTS_PER_TURN,
  TURN_WINDOW_MS,
  WRITE_MS,
} from "./registry_limits.ts";
import type { HandshakeTurns } from "./handshake_turns.ts";
import type { ParseTurns } from "./parse_turns.ts";
import { isTlsHello, type SessionConn, type TlsServerConn } from "./tls_conn.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/system_clock.ts";
import { pause } from "../../platform/waiting.ts";

/** Bytes that show the mode: the magic, and the version behind it. */
const MAGIC_BYTES = 4;
const WIRE_VERSION = BINARY_PREAMBLE[MAGIC_BYTES]!;

/** What a session needs of its server. */
export interface SessionHost {
  readonly core: RegistryCore;
  /**
   * Notes that a session holds more or fewer bytes of a begun request.
   *
   * @returns False when all sessions together hold too much: the caller must end.
   */
  holdPartial(delta: number): boolean;
  /** Turns of large requests. */
  readonly parseTurns: ParseTurns;
  /** Turns of TLS handshakes. */
  readonly handshakeTurns: HandshakeTurns;
}

/** The frames of one mode, and how they are answered. */
interface Mode {
  push(chunk: Uint8Array): void;
  readonly bufferedBytes: number;
  /** Bytes of the next request, if it is complete and may be a large one; 0 otherwise. */
  readonly readyBytes: number;
  /**
   * Takes the next complete request.
   *
   * @returns What answers it; undefined when more bytes are needed, a DecodeError when there is no sense in them.
   */
  next(): (() => Promise<Uint8Array>) | undefined | DecodeError;
}

/** TLS over a connection whose first bytes show whether it is wanted. */
export interface SessionTls {
  /** Clients that begin otherwise are disconnected. */
  readonly isRequired: boolean;
  /** Takes the connection over; what was read of it is given. */
  readonly secure: (head: Uint8Array) => TlsServerConn;
}

/** A connection of one client. */
export class Session {
  readonly #host: SessionHost;
  #conn: SessionConn;
  #tls: SessionTls | undefined;
  readonly #peer: Peer;
  readonly #openedAt: number;
  #requests = 0;
  /** When others last had their turn for certain. */
  #wayMadeAt = -Infinity;
  #idleSince: number;
  /** Since when an incomplete request is there. */
  #partialSince: number | undefined;
  #partialBytes = 0;
  #writingSince: number | undefined;
  #wasLate = false;
  #closed = false;
  /** Ends the pause that is made; there is mostly none. */
  #pausing: AbortController | undefined;

  /**
   * @param host The server.
   * @param conn The connection, owned from here on.
   * @param peer Where it comes from.
   * @param tls TLS over it; undefined where none is served.
   */
  constructor(host: SessionHost, conn: SessionConn, peer: Peer, tls?: SessionTls) {
    this.#host = host;
    this.#conn = conn;
    this.#tls = tls;
    this.#peer = peer;
    this.#openedAt = this.#idleSince = host.core.clock.now();
  }

  /** Serves until the connection ends. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#serve();
    } catch (error) {
      // A broken connection is the client's affair; anything else is ours.
      if (!this.#closed && !isConnectionEnd(error)) {
        this.#host.core.log.error("registry session failed", { error: String(error) });
      }
    } finally {
      this.#host.holdPartial(-this.#partialBytes);
      this.#partialBytes = 0;
      this.close();
    }
  }

  /** Ends the connection at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pausing?.abort();
    this.#conn.close();
  }

  /**
   * Ends the connection if it has been idle, trickling or not reading for too long, and still is at the next
   * sweep: when the whole machine stood still, everybody looks late once.
   *
   * @param now Monotonic milliseconds.
   */
  sweep(now: number): void {
    const late = (since: number | undefined, limit: number) =>
      since !== undefined && now - since > limit;
    const isLate = late(this.#writingSince, WRITE_MS) ||
      late(this.#partialSince, FRAME_MS) || late(this.#idleSince, IDLE_MS);
    if (isLate && this.#wasLate) this.close();
    this.#wasLate = isLate;
  }

  async #serve(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    if (this.#tls?.isRequired === true) this.#partialSince = this.#now();
    const mode = await this.#tellMode(buffer);
    if (mode === undefined) return;
    for (;;) {
      if (!await this.#answerAll(mode)) return;
      const count = await this.#conn.read(buffer);
      if (count === null) return;
      mode.push(buffer.subarray(0, count));
    }
  }

  /** The handshake is part of the request that has begun, so that a client that does not finish it is cut off as soon. */
  async #secureWith(tls: SessionTls, head: Uint8Array): Promise<void> {
    await this.#host.handshakeTurns.take(this.#peer.key);
    if (this.#closed) throw new Deno.errors.ConnectionAborted("closed before its turn");
    const conn = tls.secure(head);
    this.#conn = conn;
    await conn.handshake();
    this.#partialSince = undefined;
  }

  /** Reads until TLS and mode are clear. What was read beyond that is in the mode's reader. */
  async #tellMode(buffer: Uint8Array): Promise<Mode | undefined> {
    let length = 0;
    let isBinary = true;
    while (length < MAGIC_BYTES || (isBinary && length === MAGIC_BYTES)) {
      const count = await this.#conn.read(buffer.subarray(length));
      if (count === null) return undefined;
      this.#partialSince ??= this.#now();
      length += count;
      isBinary = startsWithMagic(buffer.subarray(0, length));
    }
    const tls = this.#tls;
    this.#tls = undefined;
    if (tls !== undefined && isTlsHello(buffer)) {
      await this.#secureWith(tls, buffer.slice(0, length));
      return await this.#tellMode(buffer);
    }
    if (tls?.isRequired === true) return undefined;
    const mode = isBinary ? this.#binaryMode() : this.#jsonMode();
    if (!isBinary) {
      mode.push(buffer.slice(0, length));
    } else if (buffer[MAGIC_BYTES] === WIRE_VERSION) {
      mode.push(buffer.slice(BINARY_PREAMBLE.length, length));
    } else {
      const version = buffer[MAGIC_BYTES]!;
      await this.#write(binaryError(`unsupported wire version ${version}`));
      return undefined;
    }
    return mode;
  }

  #jsonMode(): Mode {
    return this.#mode(
      new JsonFrameReader(MAX_REQUEST_BYTES),
      (request: JsonObject) => answerJsonFrame(this.#host.core, request, this.#peer),
    );
  }

  #binaryMode(): Mode {
    return this.#mode(
      new BinaryFrameReader(MAX_REQUEST_BYTES),
      (frame: BinaryFrame) => answerBinaryFrame(this.#host.core, frame, this.#peer),
    );
  }

  #mode<T extends object>(
    reader: {
      push(chunk: Uint8Array): void;
      next(): T | undefined | DecodeError;
      readonly bufferedBytes: number;
      readonly readyBytes: number;
    },
    answer: (frame: T) => Promise<Uint8Array>,
  ): Mode {
    return {
      push: (chunk) => reader.push(chunk),
      get bufferedBytes() {
        return reader.bufferedBytes;
      },
      get readyBytes() {
        return reader.bufferedBytes > LARGE_REQUEST_BYTES ? reader.readyBytes : 0;
      },
      next: () => {
        const frame = reader.next();
        return frame === undefined || frame instanceof DecodeError ? frame : () => answer(frame);
      },
    };
  }

  /**
   * Answers every complete request. False when the connection must end.
   *
   * Replies to requests that came together leave together.
   */
  async #answerAll(mode: Mode): Promise<boolean> {
    const replies: Uint8Array[] = [];
    for (;;) {
      if (this.#closed) return false;
      const turn = this.#host.parseTurns.take(mode.readyBytes);
      if (turn !== undefined) await turn;
      if (this.#closed) return false;
      const answer = mode.next();
      const isEnd = answer === undefined || answer instanceof DecodeError;
      if (!isEnd) this.#requests++;
      const isRefused = isEnd || !await this.#passRateGuard();
      if (isRefused || replies.length >= REQUESTS_PER_TURN) {
        if (replies.length > 0) await this.#write(concatBytes(...replies));
        if (isEnd) return answer === undefined && this.#notePartial(mode.bufferedBytes);
        if (isRefused) return false;
        replies.length = 0;
      }
      if (this.#requests % REQUESTS_PER_TURN === 0) await this.#makeWay();
      replies.push(await answer());
      this.#idleSince = this.#now();
      this.#partialSince = undefined;
    }
  }

  /**
   * Lets all others have their turn after requests that came without pause. By a timer: the runtime looks for news of
   * sockets when nothing is ready, and otherwise after some sixty turns only, which took a tenth of a second while
   * eight connections sent without pause.
   */
  async #makeWay(): Promise<void> {
    const before = this.#wayMadeAt;
    this.#wayMadeAt = this.#now();
    if (this.#wayMadeAt - before < TURN_WINDOW_MS) await this.#pause(systemClock, 1);
    this.#wayMadeAt = this.#now();
  }

  #notePartial(bytes: number): boolean {
    if (bytes === 0) this.#partialSince = undefined;
    else this.#partialSince ??= this.#now();
    const delta = bytes - this.#partialBytes;
    this.#partialBytes = bytes;
    return delta === 0 || this.#host.holdPartial(delta);
  }

  /** Slows or ends a connection that asks too much over its whole life. */
  async #passRateGuard(): Promise<boolean> {
    const age = this.#now() - this.#openedAt;
    if (age < RATE_GUARD_AFTER_MS) return true;
    const perSecond = this.#requests * 1000 / age;
    if (perSecond > RATE_CLOSE) return false;
    if (perSecond > RATE_SLOW) {
      await this.#pause(this.#host.core.clock, RATE_DELAY_MS);
    }
    return !this.#closed;
  }

  /** Lets time pass, unless the connection ends. */
  async #pause(clock: Clock, ms: number): Promise<void> {
    this.#pausing = new AbortController();
    await pause(clock, ms, this.#pausing.signal);
    this.#pausing = undefined;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#writingSince = this.#now();
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#conn.write(bytes.subarray(sent));
    }
    this.#writingSince = undefined;
  }

  #now(): number {
    return this.#host.core.clock.now();
  }
}

function startsWithMagic(bytes: Uint8Array): boolean {
  return bytes.subarray(0, MAGIC_BYTES)
    .every((byte, i) => byte === BINARY_PREAMBLE[i]);
}

/** Errors that only say that the client is gone. */
function isConnectionEnd(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.NotConnected;
}
