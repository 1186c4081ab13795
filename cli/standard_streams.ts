/**
 * The standard streams as the CLI uses them.
 *
 * @module
 */

/** One of the two output streams. */
export interface OutStream {
  /** Writes all of it before returning. @throws {OutputClosed} when the reader has gone. */
  write(data: string | Uint8Array): void;
  /** Whether a person sees it. */
  readonly isTerminal: boolean;
  /** Width in columns, where known. */
  readonly columns?: number;
}

/** The input stream. */
export interface InStream {
  /** Whether a person types it. */
  readonly isTerminal: boolean;
  /** Its bytes. */
  readable(): ReadableStream<Uint8Array>;
}
