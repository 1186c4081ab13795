/**
 * The table of sent, unacknowledged segments: by offset in a ring, by time of sending in one list, lost ones in another.
 *
 * @module
 */

/**
 * One sent segment. It may be cut into smaller ones and never grows: older receivers match its start
 * (docs/protocol/streams.md §5.1).
 */
export interface SentSegment {
  /** Offset of the first byte. */
  offset: number;
  /** Offset after the last byte. */
  end: number;
  /** Time of the latest transmission, milliseconds. */
  sentAt: number;
  /** How often it was sent. */
  transmissions: number;
  /** Reported as received out of order. */
  sacked: boolean;
  /** Deemed lost and not yet sent again. */
  lost: boolean;
  /** Cut from a longer one: nothing that was sent before it was cut began here. */
  isPiece: boolean;
  /** Neighbor in the list it is in. */
  prev: SentSegment | undefined;
  /** Neighbor in the list it is in. */
  next: SentSegment | undefined;
}

function segment(): SentSegment {
  return {
    offset: 0,
    end: 0,
    sentAt: 0,
    transmissions: 0,
    sacked: false,
    lost: false,
    isPiece: false,
    prev: undefined,
    next: undefined,
  };
}

/** Doubly linked list through the segments themselves. */
class SegmentList {
  first: SentSegment | undefined;
  last: SentSegment | undefined;

  append(s: SentSegment): void {
    s.prev = this.last;
    s.next = undefined;
    if (this.last === undefined) this.first = s;
    else this.last.next = s;
    this.last = s;
  }

  prepend(s: SentSegment): void {
    s.prev = undefined;
    s.next = this.first;
    if (this.first === undefined) this.last = s;
    else this.first.prev = s;
    this.first = s;
  }

  insertAfter(s: SentSegment, added: SentSegment): void {
    added.prev = s;
    added.next = s.next;
    if (s.next === undefined) this.last = added;
    else s.next.prev = added;
    s.next = added;
  }

  remove(s: SentSegment): void {
    if (s.prev === undefined) this.first = s.next;
    else s.prev.next = s.next;
    if (s.next === undefined) this.last = s.prev;
    else s.next.prev = s.prev;
    s.prev = undefined;
    s.next = undefined;
  }
}

/**
 * Sent segments. Every one is in exactly one condition: in flight (in the time list, counted in `bytes`), lost
 * (in the lost list), or reported received (in neither). All operations are O(1) or O(log n).
 */
export class InFlight {
  #ring: SentSegment[] = [];
  #head = 0;
  #count = 0;
  #bytes = 0;
  #sacked = 0;
  readonly #outstanding = new SegmentList();
  readonly #lost = new SegmentList();

  /** Segments sent and not cumulatively acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** Bytes believed to be in flight (RFC 6675 "pipe"). */
  get bytes(): number {
    return this.#bytes;
  }

  /** Segments reported received beyond the cumulative acknowledgement. */
  get sacked(): number {
    return this.#sacked;
  }

  /** The one in flight that was sent longest ago. */
  get oldest(): SentSegment | undefined {
    return this.#outstanding.first;
  }

  /** The one in flight that was sent last. */
  get newest(): SentSegment | undefined {
    return this.#outstanding.last;
  }

  /** The lost one to send next. */
  get nextLost(): SentSegment | undefined {
    return this.#lost.first;
  }

  /** The one with the lowest offset. */
  get first(): SentSegment | undefined {
    return this.#count === 0 ? undefined : this.#ring[this.#head];
  }

  /** The one with the highest offset. */
  get last(): SentSegment | undefined {
    return this.#count === 0 ? undefined : this.at(this.#count - 1);
  }

  /**
   * @param index Position by offset, 0 is the lowest.
   * @returns The segment there.
   */
  at(index: number): SentSegment | undefined {
    return index < 0 || index >= this.#count
      ? undefined
      : this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  /**
   * Records a first transmission.
   *
   * @param offset First byte; follows the last segment's end.
   * @param end Offset after the last byte.
   * @param now Milliseconds.
   * @returns The record.
   */
  push(offset: number, end: number, now: number): SentSegment {
    if (this.#count === this.#ring.length) this.#grow();
    const index = (this.#head + this.#count) & (this.#ring.length - 1);
    const s = this.#ring[index] ?? (this.#ring[index] = segment());
    this.#count++;
    s.offset = offset;
    s.end = end;
    s.sentAt = now;
    s.transmissions = 1;
    s.sacked = false;
    s.lost = false;
    s.isPiece = false;
    this.#outstanding.append(s);
    this.#bytes += end - offset;
    return s;
  }

  /**
   * Cuts a segment that is not sacked in two; the second one is in the same condition and next in line.
   *
   * @param s The segment; it keeps the first part.
   * @param at Offset where the second part begins, inside the segment.
   * @returns The second part.
   */
  split(s: SentSegment, at: number): SentSegment {
    const rest = this.#insert(this.lowerBound(s.offset) + 1);
    rest.offset = at;
    rest.end = s.end;
    s.end = at;
    rest.sentAt = s.sentAt;
    rest.transmissions = s.transmissions;
    rest.sacked = false;
    rest.lost = s.lost;
    rest.isPiece = true;
    (s.lost ? this.#lost : this.#outstanding).insertAfter(s, rest);
    return rest;
  }

  /** @param bytes Segments in flight that are longer are deemed lost. */
  markLongerLost(bytes: number): void {
    for (let s = this.#outstanding.first; s !== undefined;) {
      const { next } = s;
      if (s.end - s.offset > bytes) this.markLost(s);
      s = next;
    }
  }

  /**
   * Records a retransmission of any segment that is not sacked.
   *
   * @param s The segment.
   * @param now Milliseconds.
   */
  resent(s: SentSegment, now: number): void {
    if (s.lost) {
      this.#lost.remove(s);
      s.lost = false;
      this.#bytes += s.end - s.offset;
    } else this.#outstanding.remove(s);
    s.sentAt = now;
    s.transmissions++;
    this.#outstanding.append(s);
  }

  /** @param s A segment in flight, deemed lost. */
  markLost(s: SentSegment): void {
    if (s.lost || s.sacked) return;
    this.#outstanding.remove(s);
    this.#bytes -= s.end - s.offset;
    s.lost = true;
    this.#lost.append(s);
  }

  /** Deems everything not reported received lost, the lowest offset first in line again. */
  markAllLost(): void {
    this.#outstanding.first = this.#outstanding.last = undefined;
    this.#lost.first = this.#lost.last = undefined;
    this.#bytes = 0;
    for (let i = 0; i < this.#count; i++) {
      const s = this.at(i);
      if (s === undefined || s.sacked) continue;
      s.lost = true;
      this.#lost.append(s);
    }
  }

  /** Takes every verdict of loss back: the lost ones were all sent before the ones in flight. */
  restoreLost(): void {
    for (let s = this.#lost.last; s !== undefined;) {
      const { prev } = s;
      this.#lost.remove(s);
      s.lost = false;
      this.#bytes += s.end - s.offset;
      this.#outstanding.prepend(s);
      s = prev;
    }
  }

  /** @param s A segment reported received. */
  markSacked(s: SentSegment): void {
    this.#unlink(s);
    s.sacked = true;
    this.#sacked++;
  }

  /** Removes the lowest segment, which is acknowledged. Its record stays readable until the next `push`. */
  shift(): void {
    const s = this.first;
    if (s === undefined) return;
    if (s.sacked) this.#sacked--;
    else this.#unlink(s);
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#count--;
  }

  /**
   * @param offset Any offset.
   * @returns Index of the first segment that begins at or after it; `count` when there is none.
   */
  lowerBound(offset: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.at(mid)?.offset ?? 0) < offset) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  /** Forgets what was reported received: the peer dropped it again (RFC 2018 §8). */
  forgetSacked(): void {
    for (let i = 0; i < this.#count; i++) {
      const s = this.at(i);
      if (s === undefined || !s.sacked) continue;
      s.sacked = false;
      this.#bytes += s.end - s.offset;
      this.#outstanding.append(s);
    }
    this.#sacked = 0;
  }

  /** Drops everything. */
  clear(): void {
    this.#ring = [];
    this.#head =
      this.#count =
      this.#bytes =
      this.#sacked =
        0;
    this.#outstanding.first = this.#outstanding.last = undefined;
    this.#lost.first = this.#lost.last = undefined;
  }

  /** Gives the memory of the table back when it is empty. */
  shrink(): void {
    if (this.#count === 0) this.clear();
  }

  #unlink(s: SentSegment): void {
    if (s.sacked) return;
    if (s.lost) {
      this.#lost.remove(s);
      s.lost = false;
    } else {
      this.#outstanding.remove(s);
      this.#bytes -= s.end - s.offset;
    }
  }

  /** Makes room for a record at a position, 1..count, by moving those before or after it, whichever are fewer. */
  #insert(index: number): SentSegment {
    if (this.#count === this.#ring.length) this.#grow();
    const ring = this.#ring;
    const mask = ring.length - 1;
    const isNearHead = index <= this.#count >> 1;
    // The place of a free record, which moves step by step to the position.
    let place = (this.#head + (isNearHead ? -1 : this.#count)) & mask;
    const free = ring[place]!;
    const step = isNearHead ? 1 : -1;
    for (let left = isNearHead ? index : this.#count - index; left > 0; left--) {
      const from = (place + step) & mask;
      ring[place] = ring[from]!;
      place = from;
    }
    ring[place] = free;
    if (isNearHead) this.#head = (this.#head - 1) & mask;
    this.#count++;
    return free;
  }

  #grow(): void {
    const old = this.#ring;
    const ring: SentSegment[] = [];
    for (let i = 0; i < this.#count; i++) {
      const s = this.at(i);
      if (s !== undefined) ring.push(s);
    }
    const size = Math.max(16, old.length * 2);
    while (ring.length < size) ring.push(segment());
    this.#ring = ring;
    this.#head = 0;
  }
}
