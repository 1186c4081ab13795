/**
 * Cookies: what only the holder of an address can know, without remembering anything for it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { BEACON_COOKIE_BYTES } from "../../protocol/beacon/beacon_message.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import { COOKIE_SLOT_MS } from "./beacon_limits.ts";

/** What a cookie is bound to besides the time. */
export interface CookieHolder {
  readonly node: number;
  /** The nonce of the announcement. */
  readonly nonce: Uint8Array;
  /** Address it came from, 4 or 16 bytes. */
  readonly ip: Uint8Array;
  /** Port it came from. */
  readonly port: number;
}

/** Makes and checks cookies. */
export class Cookies {
  readonly #secret: Uint8Array;

  /** @param secret 32 random bytes, new in each process. */
  constructor(secret: Uint8Array) {
    this.#secret = secret.slice();
  }

  /**
   * Makes a cookie.
   *
   * @param holder What it is bound to.
   * @param now Monotonic milliseconds.
   * @returns {@linkcode BEACON_COOKIE_BYTES} bytes.
   */
  make(holder: CookieHolder, now: number): Uint8Array {
    return this.#ofSlot(holder, Math.floor(now / COOKIE_SLOT_MS));
  }

  /**
   * Checks a cookie.
   *
   * @param cookie What came.
   * @param holder Who sent it.
   * @param now Monotonic milliseconds.
   * @returns True when it was made for this holder in this slot of time or the one before.
   */
  check(cookie: Uint8Array, holder: CookieHolder, now: number): boolean {
    const slot = Math.floor(now / COOKIE_SLOT_MS);
    return equalBytes(cookie, this.#ofSlot(holder, slot)) ||
      equalBytes(cookie, this.#ofSlot(holder, slot - 1));
  }

  #ofSlot({ node, nonce, ip, port }: CookieHolder, slot: number): Uint8Array {
    const head = Buffer.alloc(15);
    head.writeUInt32BE(node, 0);
    head.writeUInt16BE(port, 4);
    head.writeUInt8(ip.length, 6);
    head.writeDoubleBE(slot, 7);
    const mac = createHmac("sha256", this.#secret).update(head).update(ip).update(nonce).digest();
    return new Uint8Array(mac.subarray(0, BEACON_COOKIE_BYTES));
  }
}
