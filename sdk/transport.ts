/**
 * The seam between the SDK and the runtime: how bytes travel to and from the daemon. Deno's version is
 * `transport_deno.ts`; another runtime brings its own {@linkcode Connector}.
 *
 * @module
 */

/** A connected byte stream to the daemon's local socket (docs/protocol/local-socket.md §1). */
export interface Transport {
  /**
   * Waits for the next bytes. Called again only after the previous call settled and its bytes were used up, so
   * the implementation may give out the same buffer every time.
   *
   * @returns The bytes, or undefined when the other side has closed.
   * @throws When the stream broke or was closed on this side.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Writes all of `bytes`; resolves when the operating system took them. Calls do not overlap.
   *
   * @param bytes What to write; not used after the promise has settled.
   * @throws When the stream is broken.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes both directions and makes a pending {@linkcode read} end. May be called more than once. */
  close(): void;
}

/**
 * Opens a {@linkcode Transport} to the socket at a path.
 *
 * @throws {PilotError} `not_running` when nothing listens there, `denied` when the socket may not be opened.
 */
export type Connector = (path: string) => Promise<Transport>;
