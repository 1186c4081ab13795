/**
 * What a child process prints, line by line.
 *
 * @module
 */

/**
 * Reads a stream to its end.
 *
 * @param stream UTF-8.
 * @param take Gets each line without its end; the last one need not have any.
 */
export async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}
