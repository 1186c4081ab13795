/**
 * Labels: what hostnames are, and names at a nameserver are made of.
 *
 * @module
 */

/** Longest label, characters, as in DNS. */
export const MAX_LABEL_LENGTH = 63;
/** No upper case and no other scripts, so that no two labels look alike. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/**
 * Whether a text is a label.
 *
 * @param text Any text.
 * @returns True for 1 to {@linkcode MAX_LABEL_LENGTH} lower-case letters, digits and inner hyphens, all ASCII.
 */
export function isLabel(text: string): boolean {
  return text.length <= MAX_LABEL_LENGTH && LABEL.test(text);
}
