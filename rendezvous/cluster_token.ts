/**
 * The secret that the beacons of one cluster share, by which a registry knows them. It never travels: an announcement
 * carries a code made with it (HMAC-SHA-256), which is good for what it says and for a short time.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { equalBytes } from "../protocol/crypto/base64.ts";
import { PilotError } from "../protocol/errors.ts";

/** Shortest token, characters: an eavesdropper of an announcement can try tokens offline. */
export const MIN_CLUSTER_TOKEN_CHARS = 16;
/**
 * How far the time in an announcement may be from the registry's, milliseconds: the registry has sent it just before.
 */
export const ANNOUNCEMENT_WINDOW_MS = 30_000;
/** Sets the code apart from any other made with the same secret. */
const LABEL = "pilot-beacon-register";

/** What a beacon says of itself. */
export interface Announcement {
  /** Its non-zero number. */
  readonly id: number;
  /** Its `host:port`. */
  readonly addr: string;
  /** When, Unix milliseconds by the registry's clock. */
  readonly timeMs: number;
}

/** Signs announcements and checks them. */
export class ClusterToken {
  readonly #secret: string;

  /**
   * @param secret The token, the same for all beacons of the cluster.
   * @throws {PilotError} `invalid_argument` when it is too short.
   */
  constructor(secret: string) {
    if (secret.length < MIN_CLUSTER_TOKEN_CHARS) {
      throw new PilotError(
        "invalid_argument",
        `The cluster's token has less than ${MIN_CLUSTER_TOKEN_CHARS} characters`,
        { hint: "Make one: openssl rand -hex 32" },
      );
    }
    this.#secret = secret;
  }

  /**
   * Makes the code of an announcement.
   *
   * @param announcement What is said.
   * @returns 64 hex digits.
   */
  sign(announcement: Announcement): string {
    return this.#mac(announcement).toHex();
  }

  /**
   * Checks a code, in constant time.
   *
   * @param announcement What is said.
   * @param code 64 hex digits, if it is one.
   * @param nowMs Unix milliseconds.
   * @returns It is made with the token, and lately.
   */
  accepts(announcement: Announcement, code: string, nowMs: number): boolean {
    if (Math.abs(nowMs - announcement.timeMs) > ANNOUNCEMENT_WINDOW_MS) return false;
    const given = /^[0-9a-f]{64}$/.test(code) ? Uint8Array.fromHex(code) : new Uint8Array(0);
    return equalBytes(given, this.#mac(announcement));
  }

  #mac({ id, addr, timeMs }: Announcement): Uint8Array {
    return new Uint8Array(
      createHmac("sha256", this.#secret).update(JSON.stringify([LABEL, id, addr, timeMs])).digest(),
    );
  }
}
