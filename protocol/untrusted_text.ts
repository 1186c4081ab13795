/**
 * Text that others wrote: which of its characters must not reach a terminal, a log or a list as they are.
 *
 * @module
 */

/**
 * Characters that control a terminal, change the direction of what stands beside them, break lines, or cannot be
 * seen: C0 and C1, bidi marks, embeddings and isolates, line and paragraph separators, zero-width characters and
 * other invisible formats, tags, and surrogates that stand alone.
 */
const UNSAFE =
  /[\p{Cc}\p{Cs}\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/**
 * Replaces every unsafe character.
 *
 * @param text Any text.
 * @param by What takes the place of one; default `?`.
 * @returns Text of one line without unsafe characters, provided that `by` gives none.
 */
export function replaceUnsafe(text: string, by: (char: string) => string = () => "?"): string {
  return text.replace(UNSAFE, by);
}

/**
 * Writes every unsafe character as `\uXXXX`. In JSON as `JSON.stringify` makes it, that is another form of the same
 * value.
 *
 * @param text Any text.
 * @returns The same, harmless and on one line.
 */
export function escapeUnsafe(text: string): string {
  return replaceUnsafe(text, (char) => {
    let escaped = "";
    for (let i = 0; i < char.length; i++) {
      escaped += `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
