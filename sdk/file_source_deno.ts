/**
 * Files on disk as {@linkcode FileSource}, in Deno.
 *
 * @module
 */

import { basename, join } from "node:path";
import { PilotError } from "../protocol/errors.ts";
import { blobSource, type FileSource, type StreamFile } from "./file_source.ts";

/** Streams up to this size are kept in memory while they are sent; larger ones in a temporary file. */
const MEMORY_BYTES = 8 * 1024 * 1024;

/**
 * A file on disk.
 *
 * @param path Its path.
 * @param name Name sent to the other side; default that of the file.
 * @returns The source.
 * @throws {PilotError} `not_found`, `denied`, `invalid_argument` for what is not a file, `io_error`.
 */
export async function fileSource(
  path: string,
  name: string = basename(path),
): Promise<FileSource> {
  try {
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) {
      throw new PilotError("invalid_argument", `Not a file: ${path}`, {
        advice: { id: "pipe_content" },
      });
    }
    // Requests the permission now, not in the middle of a transfer.
    (await Deno.open(path)).close();
    return {
      name,
      size,
      open: (offset) => openAt(path, offset),
      release: () => Promise.resolve(),
    };
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * A stream, stored so that it can be read twice.
 *
 * @param file The stream, its size and name.
 * @param signal Ends the storing.
 * @param tempDir Where large streams are stored; default the system's place.
 * @returns The source; releasing it removes the temporary file.
 * @throws {PilotError} `invalid_argument` when the stream has another length, `io_error`.
 */
export async function streamSource(
  file: StreamFile,
  signal: AbortSignal,
  tempDir?: string,
): Promise<FileSource> {
  const { stream, size, name } = file;
  const counted = size === undefined ? stream : stream.pipeThrough(countTo(size, name), { signal });
  if (size !== undefined && size <= MEMORY_BYTES) {
    return blobSource(await new Response(counted as BodyInit).blob(), name);
  }
  const dir = await Deno.makeTempDir({
    prefix: "pilot-send-",
    ...(tempDir === undefined ? {} : { dir: tempDir }),
  });
  const path = join(dir, "content");
  const release = () => Deno.remove(dir, { recursive: true });
  try {
    const out = await Deno.open(path, {
      write: true,
      createNew: true,
      mode: 0o600,
    });
    await counted.pipeTo(out.writable, { signal });
    const stored = (await Deno.stat(path)).size;
    return { name, size: stored, open: (offset) => openAt(path, offset), release };
  } catch (error) {
    await release();
    throw PilotError.from(error, "io_error", `Storing "${name}"`);
  }
}

async function openAt(
  path: string,
  offset: number,
): Promise<ReadableStream<Uint8Array>> {
  try {
    const file = await Deno.open(path);
    await file.seek(offset, Deno.SeekMode.Start);
    return file.readable;
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Passes a stream through and fails it when its length is not the one that was said. */
function countTo(
  size: number,
  name: string,
): TransformStream<Uint8Array, Uint8Array> {
  let left = size;
  const wrong = () =>
    new PilotError(
      "invalid_argument",
      `"${name}" does not have the ${size} bytes that were announced`,
    );
  return new TransformStream({
    transform(chunk, controller) {
      left -= chunk.length;
      if (left < 0) throw wrong();
      controller.enqueue(chunk);
    },
    flush() {
      if (left > 0) throw wrong();
    },
  });
}

function fileError(error: unknown, path: string): PilotError {
  if (error instanceof Deno.errors.NotFound && path.includes("\ufffd")) {
    // Deno turns bytes that are no UTF-8 into this character before any program sees them.
    return new PilotError(
      "invalid_argument",
      `Cannot open "${path}": names that are not UTF-8 reach this program changed (or there is no such file)`,
      {
        advice: { id: "pipe_renamed" },
        cause: error,
      },
    );
  }
  if (error instanceof Deno.errors.NotFound) {
    return new PilotError("not_found", `No such file: ${path}`, {
      cause: error,
    });
  }
  if (
    error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.NotCapable
  ) {
    return new PilotError("denied", `No permission to read ${path}`, { cause: error });
  }
  return PilotError.from(error, "io_error", `Reading ${path}`);
}
