/**
 * One request to the daemon: its answer, its time limit, its abort.
 *
 * @module
 */

import { type Decoded, DecodeError, type ErrorCode, PilotError } from "../protocol/errors.ts";
import { Cmd, decodeIpcError } from "../protocol/ipc/mod.ts";
import { abortError, timeoutError, watchAbort } from "./abort.ts";
import type { WaitOptions } from "./abort.ts";
import type { Deadlines, Timed } from "./deadlines.ts";
import { errorFromJson, errorFromText, protocolError } from "./remote_error.ts";

/** Longest wait for the answer of an ordinary request, milliseconds. */
export const REQUEST_TIMEOUT_MS = 30_000;

/** A request and how to understand its answer. */
export interface Request<T> extends WaitOptions {
  /** Command number. */
  cmd: number;
  /** Command number of the answer. */
  expect: number;
  /** The payload. */
  payload?: Uint8Array;
  /** More of the payload, behind it: spares a copy of bulk. */
  data?: Uint8Array;
  /** Names the request in errors. */
  what: string;
  /** Code for failures an old daemon reports by a text that does not show the kind. */
  failure?: ErrorCode;
  /** Sent without waiting for a free place (tagged mode): it may take long and hinder nobody. */
  immediate?: boolean;
  /** Reads the answer at once: the bytes are a view that is reused afterwards. */
  decode(payload: Uint8Array): Decoded<T>;
  /** Undoes what an answer brought that came after the caller had given up. */
  onLate?(value: T): void;
}

/** Gets the answer of a tagged frame. */
export interface ReplySink {
  /** The answer; the view is valid during the call. */
  onReply(cmd: number, payload: Uint8Array): void;
  /** The daemon is gone. */
  onLost(error: PilotError): void;
}

/** What a {@linkcode Call} needs of its session. */
export interface CallHost {
  /** Time limits. */
  readonly deadlines: Deadlines;
  /** Why the conversation ended, once it has. */
  readonly lost: PilotError | undefined;
  /** The place of a call is free again. */
  release(request: { cmd: number; immediate?: boolean }): void;
  /** Cancels a request at the daemon. */
  cancel(id: number): void;
}

/** One request under way. */
export class Call<T> implements ReplySink, Timed {
  readonly request: Request<T>;
  id: number | undefined;
  readonly #host: CallHost;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: PilotError) => void;
  readonly #unwatch: () => void;
  readonly #timeoutMs: number;
  #settled = false;
  #begun = false;

  constructor(
    host: CallHost,
    request: Request<T>,
    resolve: (value: T) => void,
    reject: (error: PilotError) => void,
  ) {
    this.#host = host;
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal, what, timeoutMs = REQUEST_TIMEOUT_MS } = request;
    this.#timeoutMs = timeoutMs;
    this.#unwatch = watchAbort(
      signal,
      () => this.#giveUp(abortError(signal!, what)),
    );
    host.deadlines.start(this, timeoutMs);
  }

  onTimeout(): void {
    this.#giveUp(timeoutError(this.request.what, this.#timeoutMs));
  }

  /** Whether the request is still wanted and may be sent now. */
  begin(): boolean {
    const { lost } = this.#host;
    if (lost !== undefined) this.#fail(lost);
    this.#begun = !this.#settled;
    return this.#begun;
  }

  onReply(cmd: number, payload: Uint8Array): void {
    // Before the place is given on: the answer to a dial claims the data that came before it.
    const result = this.#read(cmd, payload);
    this.#host.release(this.request);
    if (result instanceof PilotError) return this.#fail(result);
    if (this.#settled) this.request.onLate?.(result.value);
    else this.#settle(() => this.#resolve(result.value));
  }

  onLost(error: PilotError): void {
    this.#fail(error);
  }

  #read(cmd: number, payload: Uint8Array): { value: T } | PilotError {
    const { what, expect, failure = "unavailable" } = this.request;
    if (cmd === Cmd.Error) {
      return this.id === undefined
        ? errorFromText(errorText(payload), what, failure)
        : errorFromJson(payload, what);
    }
    if (cmd !== expect) {
      return protocolError(`${what}: unexpected answer 0x${cmd.toString(16)}`);
    }
    const value = this.request.decode(payload);
    return value instanceof DecodeError ? protocolError(`${what}: ${value.message}`) : { value };
  }

  /** The caller continues at once; the place stays taken until the daemon has answered. */
  #giveUp(error: PilotError): void {
    if (this.#settled) return;
    this.#fail(error);
    if (!this.#begun || this.id === undefined) return;
    this.#host.cancel(this.id);
  }

  #fail(error: PilotError): void {
    this.#settle(() => this.#reject(error));
  }

  #settle(act: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#host.deadlines.stop(this, this.#timeoutMs);
    this.#unwatch();
    act();
  }
}

/**
 * Text of an untagged Error frame.
 *
 * @param payload Its payload.
 * @returns What the daemon said.
 */
export function errorText(payload: Uint8Array): string {
  // Both the reply and a failed decode say what is wrong.
  return decodeIpcError(payload).message;
}
