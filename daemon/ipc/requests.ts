/**
 * The requests of one client that are being worked on: in any number up to a limit, each answered once
 * (docs/protocol/local-socket.md §1, contract of the extensions 42-45).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { Cmd } from "../../protocol/ipc/mod.ts";
import type { Reply } from "./command.ts";
import { MAX_IN_FLIGHT } from "./ipc_limits.ts";
import type { Outgoing } from "./outgoing.ts";
import { CommandError, encodeAnswer, encodeFailure } from "./replies.ts";

/** A request being worked on. */
export class RequestState {
  /** The client's id for it, when it gave one. */
  readonly tag: number | undefined;
  /** The command. */
  readonly cmd: number;
  /** It has been answered, or must not be any more. */
  answered: boolean = false;
  #abort: AbortController | undefined;
  #aborted = false;

  /**
   * @param cmd The command.
   * @param tag The client's id for it.
   */
  constructor(cmd: number, tag: number | undefined) {
    this.cmd = cmd;
    this.tag = tag;
  }

  /** Fires when nobody wants the result any more. Created on first use, since most requests need none. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  /** Nobody wants the result any more. */
  abort(): void {
    this.#aborted = true;
    this.#abort?.abort();
  }
}

/** Carries out a request; throws or rejects with {@linkcode PilotError} or {@linkcode CommandError}. */
export type Execute = (
  request: RequestState,
) => Reply | undefined | Promise<Reply | undefined>;

/** The requests of one client. */
export class Requests {
  readonly #out: Outgoing;
  readonly #all = new Set<RequestState>();
  readonly #byTag = new Map<number, RequestState>();

  /**
   * @param out Where answers go.
   */
  constructor(out: Outgoing) {
    this.#out = out;
  }

  /**
   * Whether an id belongs to a request that is not answered.
   *
   * @param tag The id.
   * @returns True when it must not be used again yet.
   */
  has(tag: number): boolean {
    return this.#byTag.has(tag);
  }

  /**
   * Starts a request and sees to its answer.
   *
   * @param cmd The command.
   * @param tag The client's id for it, when it gave one.
   * @param execute Carries it out.
   */
  run(cmd: number, tag: number | undefined, execute: Execute): void {
    const request = new RequestState(cmd, tag);
    if (this.#all.size >= MAX_IN_FLIGHT) {
      const message = `More than ${MAX_IN_FLIGHT} requests at once`;
      return this.#fail(request, new PilotError("limit_exceeded", message));
    }
    if (tag !== undefined) this.#byTag.set(tag, request);
    this.#all.add(request);
    let result;
    try {
      result = execute(request);
    } catch (thrown) {
      this.#done(request);
      return this.#fail(request, thrown);
    }
    if (!(result instanceof Promise)) {
      this.#done(request);
      return this.answer(request, result);
    }
    result.then(
      (reply) => this.answer(request, reply),
      (thrown) => this.#fail(request, thrown),
    ).finally(() => this.#done(request));
  }

  /**
   * Answers a request, unless it has been.
   *
   * @param request The request.
   * @param reply The answer; undefined when there is to be none.
   */
  answer(request: RequestState, reply: Reply | undefined): void {
    if (request.answered) return;
    request.answered = true;
    if (reply === undefined) return;
    this.#out.push(encodeAnswer(request.tag, reply.cmd, reply.payload));
  }

  /**
   * Aborts a request by its id and answers it `aborted` at once.
   *
   * @param tag The id; one that is not known belongs to a request whose answer is on its way.
   */
  cancel(tag: number): void {
    const request = this.#byTag.get(tag);
    if (request === undefined) return;
    this.#byTag.delete(tag);
    this.#fail(request, new PilotError("aborted", "Cancelled by the client"));
    request.abort();
  }

  /**
   * Aborts every dial. Those without id get no answer: the client has stopped waiting, and would take it for the
   * answer to its next request.
   */
  cancelDials(): void {
    for (const request of this.#all) {
      if (request.cmd !== Cmd.Dial) continue;
      if (request.tag === undefined) request.answered = true;
      request.abort();
    }
  }

  /** The client has gone. */
  abortAll(): void {
    for (const request of this.#all) request.abort();
    this.#byTag.clear();
  }

  #done(request: RequestState): void {
    this.#all.delete(request);
    const { tag } = request;
    if (tag !== undefined && this.#byTag.get(tag) === request) {
      this.#byTag.delete(tag);
    }
  }

  #fail(request: RequestState, thrown: unknown): void {
    if (request.answered) return;
    request.answered = true;
    const isCommandError = thrown instanceof CommandError;
    const error = isCommandError ? thrown.error : PilotError.from(thrown, "internal");
    const text = isCommandError ? thrown.text : error.message;
    // A driver waits for one answer at a time, and not for datagrams: the failure of one must not be taken for the
    // answer to a request that is under way (docs/protocol/local-socket.md §1).
    if (request.tag === undefined && request.cmd === Cmd.SendTo && this.#untaggedWaiting(request)) {
      return;
    }
    this.#out.push(encodeFailure(request.tag, error, text));
  }

  #untaggedWaiting(except: RequestState): boolean {
    for (const request of this.#all) {
      if (request !== except && request.tag === undefined) return true;
    }
    return false;
  }
}
