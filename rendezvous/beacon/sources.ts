/**
 * Parsed source addresses, kept because each datagram needs one.
 *
 * @module
 */

import { type Source, sourceOf } from "../../platform/net/source.ts";
import { MAX_PARSED_SOURCES } from "./beacon_limits.ts";

/** A bounded memory of {@linkcode sourceOf}. */
export class Sources {
  readonly #byHost: Map<string, Source> = new Map();

  /**
   * Reads the host of a socket address.
   *
   * @param host As the socket gives it.
   * @returns As {@linkcode sourceOf}.
   */
  of(host: string): Source {
    let source = this.#byHost.get(host);
    if (source === undefined) {
      source = sourceOf(host);
      // Refilled at once by those that are active; cheaper than an order of use for every datagram.
      if (this.#byHost.size >= MAX_PARSED_SOURCES) this.#byHost.clear();
      this.#byHost.set(host, source);
    }
    return source;
  }
}
