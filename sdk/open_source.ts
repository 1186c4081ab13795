/**
 * What a program may hand in as a file to send.
 *
 * @module
 */

import { blobSource, type FileSource, type StreamFile } from "./file_source.ts";
import { fileSource, streamSource } from "./file_source_deno.ts";
import type { SendFileOptions } from "./files.ts";

/** Opens a file in any of its forms. */
export async function openSource(
  file: string | Blob | StreamFile | FileSource,
  { name }: SendFileOptions,
  signal: AbortSignal,
): Promise<FileSource> {
  if (typeof file === "string") return await fileSource(file, name);
  if (file instanceof Blob) {
    return blobSource(file, name ?? (file instanceof File ? file.name : "blob"));
  }
  if ("stream" in file) {
    return await streamSource({ ...file, name: name ?? file.name }, signal);
  }
  return name === undefined ? file : renamed(file, name);
}

function renamed(source: FileSource, name: string): FileSource {
  return {
    name,
    size: source.size,
    open: (offset) => source.open(offset),
    release: () => source.release(),
  };
}
