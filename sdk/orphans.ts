/**
 * What an old daemon pushes for a connection before it has answered the dial that made it.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

/** Received bytes kept for connections not known yet; more than such a daemon's initial window of a few. */
const MAX_ORPHAN_BYTES = 256 * 1024;
/** Connections not known yet; only those being dialled matter, and such a daemon dials one at a time. */
const MAX_ORPHANS = 64;

/** What came early for one connection. */
export interface Orphan {
  /** Its data in order. */
  readonly data: Uint8Array[];
  /** Set when it has ended already. */
  end: { readonly error: PilotError | undefined } | undefined;
}

/** A bounded store of early pushes. */
export class Orphans {
  readonly #byId = new Map<number, Orphan>();
  #bytes = 0;

  /**
   * Keeps a copy of data.
   *
   * @param id Connection number.
   * @param data What came.
   */
  data(id: number, data: Uint8Array): void {
    const orphan = this.#get(id);
    if (orphan === undefined || orphan.end !== undefined) return;
    if (this.#bytes + data.length > MAX_ORPHAN_BYTES) {
      // A stream with a hole must not look whole.
      orphan.end = {
        error: new PilotError(
          "limit_exceeded",
          "Too much data arrived before the connection was reported",
        ),
      };
      return;
    }
    this.#bytes += data.length;
    orphan.data.push(data.slice());
  }

  /**
   * Notes the end of a connection.
   *
   * @param id Connection number.
   */
  ended(id: number): void {
    const orphan = this.#get(id);
    if (orphan !== undefined) orphan.end ??= { error: undefined };
  }

  /**
   * Takes out what came for a connection.
   *
   * @param id Connection number.
   * @returns What came, or undefined.
   */
  claim(id: number): Orphan | undefined {
    const orphan = this.#byId.get(id);
    if (orphan === undefined) return undefined;
    this.#byId.delete(id);
    for (const data of orphan.data) this.#bytes -= data.length;
    return orphan;
  }

  /** Forgets everything: no dial is under way. */
  clear(): void {
    this.#byId.clear();
    this.#bytes = 0;
  }

  #get(id: number): Orphan | undefined {
    let orphan = this.#byId.get(id);
    if (orphan === undefined && this.#byId.size < MAX_ORPHANS) {
      this.#byId.set(id, orphan = { data: [], end: undefined });
    }
    return orphan;
  }
}
