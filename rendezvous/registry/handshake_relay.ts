/**
 * Relay of handshakes (docs/protocol/registry.md §4.4): what nodes say to each other waits here until its receiver has
 * it. Of each node only the last statement to another one waits.
 *
 * @module
 */

import { encodeText } from "../../protocol/bytes.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { decodeHandshake } from "../../protocol/trust/mod.ts";
import type { Changes } from "./changes.ts";
import { Inboxes } from "./handshake_inbox.ts";
import type { RequestRow, ResponseRow } from "./store/store.ts";

/** What is handed to a node that polls. */
export interface Handed {
  readonly requests: readonly RequestRow[];
  readonly responses: readonly ResponseRow[];
  /** What the node is to repeat when it has them. */
  readonly ack: string;
}

/** Everything that waits. */
export class HandshakeRelay {
  readonly #requests: Inboxes<RequestRow>;
  readonly #responses: Inboxes<ResponseRow>;
  /** Numbers start over with each start, so an acknowledgement of an earlier life must not count. */
  readonly #epoch = crypto.randomUUID();

  /**
   * @param changes Where changes are noted for the store.
   * @param sourceOf Where a node comes from, for fair shares; "" when unknown.
   */
  constructor(changes: Changes, sourceOf: (node: number) => string) {
    this.#requests = new Inboxes((...change) => changes.request(...change), sourceOf);
    this.#responses = new Inboxes((...change) => changes.response(...change), sourceOf);
  }

  /** Requests and answers waiting. */
  get size(): number {
    return this.#requests.size + this.#responses.size;
  }

  /** Does a request of `sender` wait for `target`, not handed over yet? */
  isAsked(target: number, sender: number): boolean {
    return this.#requests.isWaiting(target, sender);
  }

  /** Does a request of `sender` wait for `target`, handed over or not? */
  hasRequest(target: number, sender: number): boolean {
    return this.#requests.has(target, sender);
  }

  /**
   * Leaves a request.
   *
   * @returns The request that made room, if any; its sender has been notified.
   */
  ask(request: RequestRow): RequestRow | undefined {
    const dropped = this.#requests.put(request);
    this.#responses.remove(request.target, request.sender);
    this.#dropRejection(request);
    // A statement of its receiver says more than that the request was dropped.
    if (dropped === undefined || this.#responses.has(dropped.sender, dropped.target)) {
      return dropped;
    }
    this.answer({
      target: dropped.sender,
      sender: dropped.target,
      answer: "dropped",
      message: "",
      created: request.created,
    });
    return dropped;
  }

  /** Leaves an answer. */
  answer(response: ResponseRow): void {
    // Our own notice is not the node's: what the node has said itself stands.
    if (response.answer !== "dropped") this.#requests.remove(response.target, response.sender);
    this.#dropAnswered(response);
    this.#responses.put(response);
  }

  /**
   * A rejection that the requester has not fetched is one of an earlier request. Without a message nothing in it says
   * so, and the requester would take it for the answer to this one.
   */
  #dropRejection({ target, sender }: RequestRow): void {
    const waiting = this.#responses.get(sender, target);
    if (waiting?.answer === "reject" && waiting.message === "") {
      this.#responses.remove(sender, target);
    }
  }

  /** A request that its receiver has answered does not wait for it any more, though nobody has said that it arrived. */
  #dropAnswered({ target, sender, message }: ResponseRow): void {
    const request = this.#requests.get(sender, target);
    const asked = request === undefined ? undefined : placeOf(request.message).order;
    const answered = placeOf(message).re;
    if (asked !== undefined && answered !== undefined && asked <= answered) {
      this.#requests.remove(sender, target);
    }
  }

  /**
   * Hands over what waits for a node.
   *
   * @param target The node.
   * @param notBefore Unix seconds; older requests and answers are dropped.
   * @param ack What it has already; undefined for a client that does not acknowledge: what it gets is gone.
   */
  hand(target: number, notBefore: number, ack: string | undefined): Handed {
    const [epoch, request, response] = (ack ?? "").split(":");
    if (epoch === this.#epoch) {
      this.#requests.taken(target, Number(request));
      this.#responses.taken(target, Number(response));
    }
    const requests = this.#requests.hand(target, notBefore);
    const responses = this.#responses.hand(target, notBefore);
    if (ack === undefined) {
      this.#requests.taken(target, requests.seq);
      this.#responses.taken(target, responses.seq);
    }
    return {
      requests: requests.entries,
      responses: responses.entries,
      ack: `${this.#epoch}:${requests.seq}:${responses.seq}`,
    };
  }

  /** Drops what waited too long for a node that did not come back; Unix seconds. */
  expire(notBefore: number): void {
    this.#requests.expire(notBefore);
    this.#responses.expire(notBefore);
  }

  /** At start: a stored request. */
  loadRequest(row: RequestRow): void {
    this.#requests.load(row);
  }

  /** At start: a stored answer. */
  loadResponse(row: ResponseRow): void {
    this.#responses.load(row);
  }
}

/** What a message says of its place among others; nothing for one that is none. Nothing more of it is our business. */
function placeOf(message: string): { readonly order?: number; readonly re?: number } {
  const decoded = message === "" ? undefined : decodeHandshake(encodeText(message));
  return decoded === undefined || decoded instanceof DecodeError ? {} : decoded;
}
