/**
 * What a node can say about another one (docs/protocol/registry.md §4.3).
 *
 * @module
 */

/**
 * What one side has said last: nothing; that it trusts the other, as it reports it or grants it; that it asks for trust;
 * or that it has ended. The positions are what the database holds, so they are only ever extended.
 */
export const CONSENTS = ["none", "trusts", "asked", "ended"] as const;

/** See {@linkcode CONSENTS}. */
export type Consent = typeof CONSENTS[number];

/** Does this statement mean trust, given or asked for? */
export function isConsent(consent: Consent): boolean {
  return consent === "trusts" || consent === "asked";
}
