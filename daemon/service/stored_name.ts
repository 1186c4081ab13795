/**
 * Names of stored messages and files: readable, in order of time, never twice (docs/protocol/services.md §2.3).
 *
 * @module
 */

import { extname } from "node:path";
import type { Clock } from "../../platform/clock.ts";

/** Longest name taken from a sender, bytes: leaves room for the time and the counter within 255. */
const MAX_KEPT_NAME_BYTES = 180;
/** Longest extension kept apart, characters. */
const MAX_EXTENSION = 16;
/** Name of a file whose sender gave none, or none that could be used. */
const NAMELESS = "file";
const COUNTER_MODULUS = 1_000_000;

/** Makes the unique part of names. */
export class NameStamp {
  readonly #clock: Clock;
  #counter: number;

  /**
   * @param clock Whose calendar.
   * @param start First counter; random, so that two daemons on one directory rarely meet.
   */
  constructor(clock: Clock, start: number) {
    this.#clock = clock;
    this.#counter = start % COUNTER_MODULUS;
  }

  /**
   * The next stamp.
   *
   * @returns Local time and counter: `20261121-013400.123-000042`.
   */
  next(): string {
    const counter = this.#counter;
    this.#counter = (counter + 1) % COUNTER_MODULUS;
    return `${formatTime(new Date(this.#clock.unixNow()))}-${String(counter).padStart(6, "0")}`;
  }
}

function formatTime(date: Date): string {
  const pad = (value: number, width = 2) => String(value).padStart(width, "0");
  return pad(date.getFullYear(), 4) + pad(date.getMonth() + 1) +
    pad(date.getDate()) + "-" + pad(date.getHours()) +
    pad(date.getMinutes()) + pad(date.getSeconds()) + "." +
    pad(date.getMilliseconds(), 3);
}

/**
 * Makes a harmless file name of what a sender called its file: no directories, no control characters, no leading
 * dots (hidden files, `..`) or dashes (options), limited length.
 *
 * @param name Anything.
 * @returns A name that is safe in any directory.
 */
export function sanitizeFileName(name: string): string {
  const base = name.slice(
    Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1,
  );
  const clean = base.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}<>:"|?*]/gu, "_")
    .replace(/^[.\-\s]+/, "").replace(/[.\s]+$/, "");
  const short = cut(clean);
  return short === "" ? NAMELESS : short;
}

/** Cuts in the middle of the stem, so that the extension stays. */
function cut(name: string): string {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length <= MAX_KEPT_NAME_BYTES) return name;
  const extension = keptExtension(name);
  const room = MAX_KEPT_NAME_BYTES - new TextEncoder().encode(extension).length;
  // A character cut in half becomes U+FFFD at the end, which is dropped.
  const stem = new TextDecoder().decode(bytes.subarray(0, room))
    .replace(/\uFFFD+$/, "");
  return stem + extension;
}

function keptExtension(name: string): string {
  const extension = extname(name);
  return extension.length <= MAX_EXTENSION ? extension : "";
}

/**
 * Puts a stamp and the sender between stem and extension.
 *
 * @param name A sanitized name.
 * @param stamp From {@linkcode NameStamp}.
 * @param sender Number of the node it came from.
 * @returns For example `report-20261121-013400.123-000042-from-5.pdf`.
 */
export function stampFileName(name: string, stamp: string, sender: number): string {
  const extension = keptExtension(name);
  const stem = name.slice(0, name.length - extension.length);
  return `${stem}-${stamp}-from-${sender}${extension}`;
}

// Ours is the last stamp: an extension has no second dot, so nothing in a sender's name can look like a later one.
const STAMPED = /-\d{8}-\d{6}\.\d{3}-\d{6}-from-(\d{1,10})(?:\.[^.]*)?$/;

/**
 * Who sent a stored file.
 *
 * @param name From {@linkcode stampFileName}, or any other.
 * @returns Number of the node, or undefined when the name does not show it.
 */
export function senderOfFileName(name: string): number | undefined {
  const sender = STAMPED.exec(name)?.[1];
  return sender === undefined ? undefined : Number(sender);
}
