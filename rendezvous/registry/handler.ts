/**
 * The shape of a request handler.
 *
 * @module
 */

import type { RegistryCore } from "./core.ts";
import { MAX_PROVEN_PER_CONNECTION } from "./limits.ts";
import type { JsonObject } from "../../protocol/registry.ts";

/** The nodes that one connection has proven to be. */
export class ProvenNodes {
  readonly #nodes: Set<number> = new Set();

  /** A node has signed; of more than {@linkcode MAX_PROVEN_PER_CONNECTION} the first is forgotten. */
  add(node: number): void {
    this.#nodes.add(node);
    const [first] = this.#nodes;
    if (this.#nodes.size > MAX_PROVEN_PER_CONNECTION) this.#nodes.delete(first!);
  }

  /** Has the node signed on this connection? */
  has(node: number): boolean {
    return this.#nodes.has(node);
  }

  /** All of them. */
  all(): Iterable<number> {
    return this.#nodes;
  }
}

/** Where a request came from. */
export interface Peer {
  /** Source IP, IPv4-mapped addresses as IPv4. */
  readonly ip: string;
  /** What limits count by, see `sourceOf`. */
  readonly key: string;
  /** TCP source port. */
  readonly port: number;
  /** The source is this machine. */
  readonly loopback: boolean;
  /** Who has signed requests on this connection: what the wire does not have signed is answered as to them. */
  readonly proven: ProvenNodes;
}

/** Answers one type of request: the reply without its `type`, or a thrown `RegistryFailure`. */
export type Handler = (
  core: RegistryCore,
  request: JsonObject,
  peer: Peer,
) => JsonObject | Promise<JsonObject>;
