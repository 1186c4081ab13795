/**
 * What a connection has shown of who is behind it: the challenge under which its nodes sign whole requests
 * (protocol/registry/whole_signature.ts), and whose signatures were good.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { CHALLENGE_BYTES } from "../../protocol/registry/whole_signature.ts";
import { CHALLENGE_TTL_MS, MAX_NODES_PER_CONNECTION } from "./registry_limits.ts";

/** State of one connection. Makes nothing random before a client wants to sign. */
export class ConnectionAuth {
  #challenge = "";
  #madeAt = 0;
  #lastSeq = 0;
  /** Nodes that have signed something on this connection, the last ones. */
  readonly #nodes: Set<number> = new Set();

  /**
   * The challenge that counts now.
   *
   * @param now Monotonic milliseconds.
   * @returns Base64; a new one when the last is too old, and then counting starts over.
   */
  challenge(now: number): string {
    if (this.#challenge === "" || now - this.#madeAt > CHALLENGE_TTL_MS) {
      this.#challenge = randomBytes(CHALLENGE_BYTES).toString("base64");
      this.#madeAt = now;
      this.#lastSeq = 0;
    }
    return this.#challenge;
  }

  /** Would a request with this challenge and count be a new one? */
  isFresh(challenge: string, seq: number, now: number): boolean {
    return challenge === this.challenge(now) && seq > this.#lastSeq;
  }

  /** Uses a count up, and all below it. Called when the signature over it is good. */
  accept(seq: number): void {
    this.#lastSeq = seq;
  }

  /** A node has signed something that came this way. */
  noteNode(node: number): void {
    this.#nodes.delete(node);
    this.#nodes.add(node);
    if (this.#nodes.size <= MAX_NODES_PER_CONNECTION) return;
    for (const oldest of this.#nodes) {
      this.#nodes.delete(oldest);
      return;
    }
  }

  /** Has the node signed something that came this way? */
  has(node: number): boolean {
    return this.#nodes.has(node);
  }

  /** Nodes whose signatures came this way. */
  get nodes(): Iterable<number> {
    return this.#nodes;
  }
}
