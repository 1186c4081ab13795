/**
 * What goes out to one client: replies first, then stream data and datagrams in turn, many frames in one write.
 * Stream data is pulled from its connection only when it is about to be written, so that a client that does not
 * read holds back its senders and nobody else. It may take its time: all that waits for it is bounded.
 *
 * @module
 */

import {
  DATAGRAM_QUEUE_BYTES,
  LAZY_REPLIES,
  LAZY_REPLY_MS,
  POOLED_WRITE_BUFFERS,
  REPLY_HIGH_BYTES,
  REPLY_MAX_BYTES,
  WRITE_BUFFER_BYTES,
} from "./ipc_limits.ts";
import type { Clock } from "../../platform/clock.ts";

/** Something that has frames when asked. */
export interface FrameSource {
  /** Has frames now. */
  readonly ready: boolean;
  /** Whether it waits in {@linkcode Outgoing} already; kept by it. */
  queued: boolean;
  /**
   * Writes frames.
   *
   * @param out Where to write.
   * @param offset First free byte.
   * @returns First free byte afterwards.
   */
  pull(out: Uint8Array, offset: number): number;
}

/** How {@linkcode Outgoing} reaches its client. */
export interface OutgoingOptions {
  readonly clock: Clock;
  /** Writes some of the bytes; resolves with their number. */
  write(bytes: Uint8Array): Promise<number>;
  /**
   * Called once when nothing can be written any more; `alive` when the client lives but does not read. `wasCongested`
   * when so many replies waited that no further requests were read.
   */
  onDead(reason: string, alive: boolean, wasCongested: boolean): void;
  /** Called with the growth of the waiting replies in bytes. */
  onReplies?(delta: number): void;
  /** Called when the reply queue has fallen below its high mark. */
  onRoom(): void;
}

/** Free space below which a write is not topped up by another frame. */
const LEAST_ROOM_BYTES = 4 * 1024;
/** Part of a write that datagrams may take while streams wait, and vice versa. */
const DATAGRAM_SHARE_BYTES = WRITE_BUFFER_BYTES / 2;

const pool: Uint8Array[] = [];

/** A first-in-first-out list of frames with its size in bytes. */
class FrameQueue {
  readonly #changed: (delta: number) => void;
  #frames: Uint8Array[] = [];
  #head = 0;
  bytes = 0;

  /** @param changed Called with its growth in bytes. */
  constructor(changed: (delta: number) => void = () => {}) {
    this.#changed = changed;
  }

  get empty(): boolean {
    return this.#head === this.#frames.length;
  }

  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#add(frame.length);
  }

  peek(): Uint8Array | undefined {
    return this.#frames[this.#head];
  }

  shift(): void {
    const frame = this.#frames[this.#head];
    if (frame === undefined) return;
    this.#add(-frame.length);
    this.#frames[this.#head++] = EMPTY;
    if (this.empty || this.#head >= 1024) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#frames = [];
    this.#head = 0;
    this.#add(-this.bytes);
  }

  #add(bytes: number): void {
    this.bytes += bytes;
    this.#changed(bytes);
  }
}

const EMPTY = new Uint8Array(0);

/** The outgoing side of one client. */
export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #replies: FrameQueue;
  readonly #datagrams = new FrameQueue();
  #sources: FrameSource[] = [];
  #pumping = false;
  #dead = false;
  #congested = false;
  /** Replies that wait for company. */
  #lazy = 0;
  #cancelLazy: (() => void) | undefined;
  #idle: (() => void)[] = [];
  #dropped = 0;

  /**
   * @param options How to reach the client.
   */
  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#replies = new FrameQueue(options.onReplies);
  }

  /** Bytes of replies and notices that wait. */
  get replyBytes(): number {
    return this.#replies.bytes;
  }

  /** So many replies wait that no further requests should be read. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Nothing can be written any more. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Datagrams dropped because the client did not read fast enough. */
  get droppedDatagrams(): number {
    return this.#dropped;
  }

  /**
   * Queues a reply or notice. Order among these is kept, and they overtake stream data that is not yet written.
   *
   * @param frame A whole frame; owned by the queue.
   */
  push(frame: Uint8Array): void {
    if (this.#dead) return;
    this.#replies.push(frame);
    if (this.#replies.bytes > REPLY_MAX_BYTES) {
      this.#die("it does not read its replies", true);
      return;
    }
    if (this.#replies.bytes > REPLY_HIGH_BYTES) this.#congested = true;
    this.#wake();
  }

  /**
   * Queues a reply that nobody waits for yet: it leaves with whatever comes next, at the latest when there are
   * {@linkcode LAZY_REPLIES} or after {@linkcode LAZY_REPLY_MS}. Waking a client costs more than a packet.
   *
   * @param frame A whole frame; owned by the queue.
   */
  pushLazily(frame: Uint8Array): void {
    if (this.#pumping || this.#dead || ++this.#lazy >= LAZY_REPLIES) return this.push(frame);
    this.#replies.push(frame);
    this.#cancelLazy ??= this.#options.clock.after(LAZY_REPLY_MS, () => {
      this.#cancelLazy = undefined;
      if (this.#lazy > 0) this.#wake();
    });
  }

  /**
   * Queues a datagram, or drops it when too many wait.
   *
   * @param frame A whole frame; may be shared between clients.
   */
  pushDatagram(frame: Uint8Array): void {
    if (this.#dead) return;
    if (this.#datagrams.bytes + frame.length > DATAGRAM_QUEUE_BYTES) {
      this.#dropped++;
      return;
    }
    this.#datagrams.push(frame);
    this.#wake();
  }

  /**
   * Notes that a source may have frames.
   *
   * @param source Who.
   */
  offer(source: FrameSource): void {
    if (this.#dead || source.queued || !source.ready) return;
    source.queued = true;
    this.#sources.push(source);
    this.#wake();
  }

  /**
   * Waits until everything queued has been written or the client is dead.
   *
   * @returns When that is so.
   */
  async flushed(): Promise<void> {
    if (!this.#pumping) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Forgets everything; nothing is written any more. */
  stop(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#replies.clear();
    this.#datagrams.clear();
    for (const source of this.#sources) source.queued = false;
    this.#sources = [];
    this.#congested = false;
    this.#cancelLazy?.();
    this.#cancelLazy = undefined;
    this.#options.onRoom();
  }

  #die(reason: string, alive: boolean): void {
    if (this.#dead) return;
    const wasCongested = this.#congested;
    this.stop();
    this.#options.onDead(reason, alive, wasCongested);
  }

  get #waiting(): boolean {
    return !this.#replies.empty || !this.#datagrams.empty ||
      this.#sources.length > 0;
  }

  #wake(): void {
    this.#lazy = 0;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  /** Runs until nothing waits. One microtask late, so that all frames of one event-loop turn leave together. */
  async #pump(): Promise<void> {
    await undefined;
    const buffer = pool.pop() ?? new Uint8Array(WRITE_BUFFER_BYTES);
    try {
      while (!this.#dead && this.#waiting) {
        const first = this.#replies.peek();
        if (first !== undefined && first.length > buffer.length) {
          this.#replies.shift();
          await this.#writeAll(first);
        } else {
          const length = this.#fill(buffer);
          if (length > 0) await this.#writeAll(buffer.subarray(0, length));
        }
        if (this.#congested && this.#replies.bytes <= REPLY_HIGH_BYTES / 2) {
          this.#congested = false;
          this.#options.onRoom();
        }
      }
    } catch (error) {
      this.#die(error instanceof Error ? error.message : String(error), false);
    } finally {
      if (pool.length < POOLED_WRITE_BUFFERS) pool.push(buffer);
      this.#pumping = false;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #fill(buffer: Uint8Array): number {
    let offset = this.#copy(this.#replies, buffer, 0, buffer.length);
    // What announces a connection must leave before its data.
    if (!this.#replies.empty) return offset;
    const share = this.#sources.length > 0
      ? Math.min(buffer.length, offset + DATAGRAM_SHARE_BYTES)
      : buffer.length;
    offset = this.#copy(this.#datagrams, buffer, offset, share);
    while (this.#sources.length > 0) {
      if (offset > 0 && buffer.length - offset < LEAST_ROOM_BYTES) break;
      const source = this.#sources.shift()!;
      source.queued = false;
      offset = source.pull(buffer, offset);
      // Pulling may have made the connection offer its source again.
      if (source.ready && !source.queued && !this.#dead) {
        source.queued = true;
        this.#sources.push(source);
      }
    }
    return offset;
  }

  #copy(
    queue: FrameQueue,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): number {
    let offset = start;
    for (
      let frame = queue.peek();
      frame !== undefined && offset + frame.length <= end;
      frame = queue.peek()
    ) {
      buffer.set(frame, offset);
      offset += frame.length;
      queue.shift();
    }
    return offset;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.#dead) {
      rest = rest.subarray(await this.#options.write(rest));
    }
  }
}
