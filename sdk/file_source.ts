/**
 * What can be sent as a file, behind a seam, so that only `file_source_deno.ts` touches the disk.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

/** Content that can be read more than once: once for its hash, once to send it, again to resume. */
export interface FileSource {
  /** Plain file name sent to the other side. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Reads from an offset to the end. */
  open(offset: number): Promise<ReadableStream<Uint8Array>>;
  /** Frees what reading needed. */
  release(): Promise<void>;
}

/** A stream to send as a file. It is stored first, because its hash leads the transfer. */
export interface StreamFile {
  /** The content. */
  readonly stream: ReadableStream<Uint8Array>;
  /** Its length in bytes; undefined when only its end shows it, which costs a temporary file. */
  readonly size?: number | undefined;
  /** Plain file name sent to the other side. */
  readonly name: string;
}

/**
 * Content in memory, or wherever the runtime keeps a `Blob`.
 *
 * @param blob The content.
 * @param name Plain file name.
 * @returns The source.
 */
export function blobSource(blob: Blob, name: string): FileSource {
  return {
    name,
    size: blob.size,
    open: (offset) => Promise.resolve(blob.slice(offset).stream()),
    release: () => Promise.resolve(),
  };
}

/**
 * Reads a source in pieces of equal length, the last one shorter.
 *
 * @param source What to read.
 * @param offset Where to begin.
 * @param pieceBytes Length of a piece.
 * @param signal Ends the reading.
 * @returns The pieces, together exactly `source.size - offset` bytes.
 * @throws {PilotError} `io_error` when the source has another length than it said.
 */
export async function* readPieces(
  source: FileSource,
  offset: number,
  pieceBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(pieceBytes);
  let filled = 0;
  let left = source.size - offset;
  const stream = await source.open(offset);
  for await (const chunk of stream) {
    signal.throwIfAborted();
    left -= chunk.length;
    if (left < 0) throw changed(source);
    for (let used = 0; used < chunk.length;) {
      const part = chunk.subarray(used, used + pieceBytes - filled);
      piece.set(part, filled);
      filled += part.length;
      used += part.length;
      if (filled < pieceBytes) continue;
      yield piece;
      piece = new Uint8Array(pieceBytes);
      filled = 0;
    }
  }
  if (left !== 0) throw changed(source);
  if (filled > 0) yield piece.subarray(0, filled);
}

function changed({ name, size }: FileSource): PilotError {
  return new PilotError(
    "io_error",
    `"${name}" is not ${size} bytes long any more: it changed while it was read`,
  );
}
