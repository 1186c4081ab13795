/**
 * A self-signed certificate for the QUIC peer.
 *
 * @module
 */

import {
  type Certificate,
  selfSigned as make,
} from "../../../rendezvous/registry/self_signed_certificate.ts";

const DAY_MS = 86_400_000;

/**
 * Makes a certificate, valid for a day on both sides of now.
 *
 * @param name The DNS name it is for.
 * @returns Certificate and key, PEM.
 */
export function selfSigned(name: string): Certificate {
  const now = Date.now();
  return make({
    organization: "Pilot benchmark",
    hosts: [name],
    notBefore: now - DAY_MS,
    notAfter: now + DAY_MS,
  });
}
