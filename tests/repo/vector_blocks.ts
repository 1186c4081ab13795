/**
 * Test vectors in documents: fenced blocks that begin with `vectors`, a vector on each line.
 *
 * @module
 */

/** One line: what it is, and its value. */
export interface Vector {
  /** Before ` => `. */
  readonly label: string;
  /** Behind it. */
  readonly value: string;
}

/** One fenced block. */
export interface VectorBlock {
  /** Where it stands. */
  readonly path: string;
  /** What follows `vectors` in its first line. */
  readonly kind: string;
  /** Its lines. */
  readonly vectors: readonly Vector[];
}

const BLOCK = /^```vectors (.+)\n([^]*?)^```$/gm;
const ARROW = " => ";

/**
 * The vectors of a document.
 *
 * @param path The document's path.
 * @param text Its text.
 * @returns Its blocks, in order.
 */
export function vectorBlocks(path: string, text: string): VectorBlock[] {
  return [...text.matchAll(BLOCK)].map(([, kind, body]) => ({
    path,
    kind: kind!,
    vectors: body!.split("\n").filter((line) => line !== "").map((line) => {
      const at = line.indexOf(ARROW);
      if (at < 0) throw new Error(`${path}: not a vector: ${line}`);
      return { label: line.slice(0, at), value: line.slice(at + ARROW.length) };
    }),
  }));
}
