/**
 * Shares of a directory that others fill: how much of each sender lies there, and how much each may add.
 *
 * The count comes from the directory, so that it survives a restart, and is kept up from what is stored. Others remove
 * files behind our back: only before something is refused is the directory listed again, and only names not known yet
 * are looked at.
 *
 * @module
 */

import {
  MAILBOX_LITTLE_FILES,
  MAILBOX_LITTLE_SHARE,
  MAILBOX_RESERVED_SHARE,
} from "../../platform/mailbox_limits.ts";
import type { Clock } from "../../platform/clock.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { pause } from "../../platform/waiting.ts";
import { Refusal } from "./store_refusal.ts";

/** Files looked at together. */
const LOOK_PARALLEL = 32;
/** Listing again takes at most one part in this many of the time, however often a sender is refused. */
const LIST_PAUSE_FACTOR = 20;
/** Longest time between two listings while a sender waits for one, milliseconds. */
const MAX_LIST_PAUSE_MS = 1_000;
/** Senders remembered as refused, so that each is logged once. */
const MAX_REFUSED_SENDERS = 1_024;

const log = getLogger([LOG_CATEGORY, "data-exchange"]);

/** How much there may be. */
export interface QuotaLimits {
  /** Files. */
  readonly maxFiles: number;
  /** Files of one sender. */
  readonly maxFilesPerSender: number;
  /** Bytes. */
  readonly maxBytes: number;
  /** Bytes of one sender. */
  readonly maxBytesPerSender: number;
}

/** One file that lies there. */
export interface Counted {
  /** Number of the node that sent it; undefined when that is unknown: then it counts for nobody. */
  readonly sender: number | undefined;
  /** Its bytes. */
  readonly size: number;
}

/** What is counted. */
export interface SenderQuotaOptions {
  readonly clock: Clock;
  /** How much there may be. */
  readonly limits: QuotaLimits;
  /** What the files are called in refusals: `messages`, `files`. */
  readonly noun: string;
  /** Names of all files that are there now. */
  list(): Promise<string[]>;
  /** Looks at one of them; undefined when it is gone. */
  look(name: string): Promise<Counted | undefined>;
}

/** Room given to something that is not stored yet. */
export interface Room {
  /**
   * It is stored: from now on it counts as this file.
   *
   * @param name Its name.
   */
  stored(name: string): void;
  /** It will not be stored. May be called again, and after `stored`. */
  release(): void;
}

interface Share {
  files: number;
  bytes: number;
}

/** Counts files by their sender. */
export class SenderQuota {
  readonly #options: SenderQuotaOptions;
  readonly #entries = new Map<string, Counted>();
  readonly #senders = new Map<number, Share>();
  readonly #all: Share = { files: 0, bytes: 0 };
  readonly #refused = new Set<number>();
  #isListed = false;
  #listing: Promise<void> | undefined;
  #nextListingMs = -Infinity;

  /**
   * @param options What is counted.
   */
  constructor(options: SenderQuotaOptions) {
    this.#options = options;
  }

  /**
   * Takes room for one file.
   *
   * @param sender Number of the node that sends it.
   * @param bytes Its size.
   * @returns The room.
   * @throws {Refusal} `limit_exceeded` when the sender's share or the whole is used up.
   */
  async take(sender: number, bytes: number): Promise<Room> {
    if (!this.#isListed) await this.#list();
    if (this.#lack(sender, bytes) !== undefined) await this.#list();
    const lack = this.#lack(sender, bytes); // no await between this and the count
    if (lack !== undefined) {
      this.#noteRefused(sender, lack);
      throw new Refusal("limit_exceeded", lack);
    }
    this.#refused.delete(sender);
    this.#count(sender, 1, bytes);
    let isHeld = true;
    const release = () => {
      if (isHeld) this.#count(sender, -1, -bytes);
      isHeld = false;
    };
    return {
      stored: (name) => {
        if (!isHeld) return;
        release();
        this.add(name, { sender, size: bytes });
      },
      release,
    };
  }

  /**
   * Counts a file that is there.
   *
   * @param name Its name.
   * @param file Whose, and how large.
   */
  add(name: string, file: Counted): void {
    this.remove(name); // a listing may have found it first
    this.#entries.set(name, file);
    this.#count(file.sender, 1, file.size);
  }

  /**
   * Counts a file no longer.
   *
   * @param name Its name.
   * @returns What was counted, or undefined when it was not.
   */
  remove(name: string): Counted | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    this.#count(entry.sender, -1, -entry.size);
    return entry;
  }

  #count(sender: number | undefined, files: number, bytes: number): void {
    this.#all.files += files;
    this.#all.bytes += bytes;
    if (sender === undefined) return;
    const share = this.#senders.get(sender) ?? { files: 0, bytes: 0 };
    share.files += files;
    share.bytes += bytes;
    if (share.files === 0) this.#senders.delete(sender);
    else this.#senders.set(sender, share);
  }

  /** What keeps a file out; undefined when there is room. */
  #lack(sender: number, bytes: number): string | undefined {
    const { noun, limits } = this.#options;
    const share = this.#senders.get(sender) ?? { files: 0, bytes: 0 };
    if (share.files + 1 > limits.maxFilesPerSender) {
      return `${limits.maxFilesPerSender} ${noun} of yours are there, which is the most for one sender`;
    }
    if (share.bytes + bytes > limits.maxBytesPerSender) {
      return `your ${noun} there would have more than ${limits.maxBytesPerSender} bytes, which is the most for one sender`;
    }
    const hasLittle = share.files < MAILBOX_LITTLE_FILES &&
      share.bytes + bytes <= limits.maxBytes * MAILBOX_LITTLE_SHARE;
    const part = hasLittle ? 1 : 1 - MAILBOX_RESERVED_SHARE;
    const isFull = this.#all.files + 1 > limits.maxFiles * part ||
      this.#all.bytes + bytes > limits.maxBytes * part;
    return isFull ? `the receiver has no room for more ${noun}` : undefined;
  }

  /** One listing at a time, for all who wait; with pauses, so that refusals stay cheap. */
  #list(): Promise<void> {
    return this.#listing ??= this.#listAfterPause().finally(() => this.#listing = undefined);
  }

  async #listAfterPause(): Promise<void> {
    const { clock } = this.#options;
    const pauseMs = this.#nextListingMs - clock.now();
    if (pauseMs > 0) await pause(clock, pauseMs);
    const startMs = clock.now();
    try {
      await this.#listNow();
    } finally {
      const endMs = clock.now();
      const tookMs = endMs - startMs;
      this.#nextListingMs = endMs + Math.min(LIST_PAUSE_FACTOR * tookMs, MAX_LIST_PAUSE_MS);
    }
  }

  async #listNow(): Promise<void> {
    const known = [...this.#entries.keys()]; // what is added meanwhile may be missing in the list
    const names = new Set(await this.#options.list());
    for (const name of known) if (!names.has(name)) this.remove(name);
    const fresh = [...names].filter((name) => !this.#entries.has(name));
    for (let i = 0; i < fresh.length; i += LOOK_PARALLEL) {
      await Promise.all(
        fresh.slice(i, i + LOOK_PARALLEL).map(async (name) => {
          const found = await this.#options.look(name);
          if (found !== undefined && !this.#entries.has(name)) this.add(name, found);
        }),
      );
    }
    this.#isListed = true;
  }

  #noteRefused(sender: number, lack: string): void {
    if (this.#refused.has(sender)) return;
    if (this.#refused.size >= MAX_REFUSED_SENDERS) this.#refused.clear();
    this.#refused.add(sender);
    const { noun } = this.#options;
    log.warn("More {noun} of node {sender} are refused: {lack}", { noun, sender, lack });
  }
}
