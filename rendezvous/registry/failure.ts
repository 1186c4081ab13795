/**
 * Refusals of the registry and what of them a client may see (docs/protocol/registry.md §3).
 *
 * @module
 */

/** What JSON clients see of a text that is not for them, and of unknown requests. */
export const MASKED_TEXT = "request failed";

/** A text with one of these in it is shown to JSON clients; the others are masked. Case-sensitive. */
const VISIBLE = [
  "rate limited",
  "enterprise feature",
  "expired",
  "already",
  "not a member",
  "cannot",
  "too many",
  "too long",
  "not found",
  "invalid",
  "required",
];

/** A request that was refused. */
export class RegistryFailure extends Error {
  /** The text for binary clients, which differs from the JSON one in a few places. */
  readonly nativeText: string;

  /**
   * @param text Why; JSON clients see it only when §3 lets them.
   * @param nativeText What binary clients see, if something else.
   */
  constructor(text: string, nativeText: string = text) {
    super(text);
    this.name = "RegistryFailure";
    this.nativeText = nativeText;
  }

  /** What a JSON client sees. */
  get visibleText(): string {
    return VISIBLE.some((part) => this.message.includes(part)) ? this.message : MASKED_TEXT;
  }
}

/**
 * The refusal for a node that is not registered now.
 *
 * @param id Node number as asked for.
 * @returns The failure, to be thrown.
 */
export function nodeNotFound(id: number): RegistryFailure {
  return new RegistryFailure(
    `node ${id}: node not found`,
    `node ${id}: not found`,
  );
}
