/**
 * Refusals of the registry and what of them a client may see (docs/protocol/registry.md §3).
 *
 * @module
 */

import {
  registryError,
  type RegistryErrorCode,
  type RegistryErrorReply,
} from "../../protocol/registry/error_reply.ts";

/** What JSON clients see of a text that is not for them, and of unknown requests. */
export const MASKED_TEXT = "request failed";
/** One code for all of these, so that it discloses no more than the text: what clients make of the text themselves. */
const MASKED_CODE: RegistryErrorCode = "denied";

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
  /** The kind of failure; JSON clients see it only with the text. */
  readonly code: RegistryErrorCode;
  /** The text for binary clients, which differs from the JSON one in a few places. */
  readonly nativeText: string;

  /**
   * @param code Kind of failure.
   * @param text Why; JSON clients see it only when §3 lets them.
   * @param nativeText What binary clients see, if something else.
   */
  constructor(code: RegistryErrorCode, text: string, nativeText: string = text) {
    super(text);
    this.name = "RegistryFailure";
    this.code = code;
    this.nativeText = nativeText;
  }

  /** What a JSON client sees. */
  get reply(): RegistryErrorReply {
    const isVisible = VISIBLE.some((part) => this.message.includes(part));
    return isVisible ? registryError(this.message, this.code) : maskedError();
  }
}

/** The reply to a request whose failure is not disclosed. */
export function maskedError(): RegistryErrorReply {
  return registryError(MASKED_TEXT, MASKED_CODE);
}

/**
 * The refusal for a node that is not registered now.
 *
 * @param id Node number as asked for.
 * @returns The failure, to be thrown.
 */
export function nodeNotFound(id: number): RegistryFailure {
  return new RegistryFailure("not_found", `node ${id}: node not found`, `node ${id}: not found`);
}
