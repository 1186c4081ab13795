/**
 * Fingerprints of certificates, as people type them.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

/**
 * A certificate's fingerprint as programs show it: hex, perhaps with colons and capitals.
 *
 * @param text The fingerprint, SHA-256.
 * @returns 64 lowercase hex digits.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseFingerprint(text: string): string {
  const digits = text.replaceAll(":", "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw new PilotError("invalid_argument", `Not a SHA-256 fingerprint: "${text}"`, {
    advice: { id: "read_fingerprint" },
  });
}
