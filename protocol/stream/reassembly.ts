/**
 * Segments that arrived before the ones in front of them, merged into runs.
 *
 * @module
 */

/** Adjacent pieces received out of order. */
export interface Run {
  /** Offset of the first byte. */
  left: number;
  /** Offset after the last byte. */
  right: number;
  /** The bytes, ascending. */
  parts: Uint8Array[];
}

/** Out-of-order store. The caller bounds it by {@linkcode Reassembly.bytes} and {@linkcode Reassembly.segments}. */
export class Reassembly {
  readonly #runs: Run[] = [];
  #bytes = 0;
  #segments = 0;

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Segments held. */
  get segments(): number {
    return this.#segments;
  }

  /** Runs held, ascending and disjoint, never adjacent. */
  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** Offset after the highest byte held; 0 when nothing is. */
  get end(): number {
    return this.#runs[this.#runs.length - 1]?.right ?? 0;
  }

  /**
   * Stores a segment, or the first part of it that is new.
   *
   * @param offset Offset of its first byte.
   * @param bytes Its bytes, copied.
   * @returns The run it is in now; undefined when all of it was there already.
   */
  add(offset: number, bytes: Uint8Array): Run | undefined {
    const runs = this.#runs;
    const index = this.#find(offset);
    const near = runs[index];
    let left = offset;
    if (near !== undefined && near.left <= offset) {
      left = Math.min(near.right, offset + bytes.length);
      if (left === offset + bytes.length) return undefined;
    }
    const follower = near !== undefined && near.left <= left ? index + 1 : index;
    const next = runs[follower];
    const right = Math.min(offset + bytes.length, next?.left ?? Infinity);
    if (right <= left) return undefined;
    const part = bytes.slice(left - offset, right - offset);
    this.#bytes += part.length;
    this.#segments++;
    const joinsLeft = follower > index && near !== undefined &&
      near.right === left;
    const joinsRight = next !== undefined && next.left === right;
    if (joinsLeft) {
      near.parts.push(part);
      near.right = right;
      if (joinsRight) {
        for (const p of next.parts) near.parts.push(p);
        near.right = next.right;
        runs.splice(follower, 1);
      }
      return near;
    }
    if (joinsRight) {
      next.parts.unshift(part);
      next.left = left;
      return next;
    }
    const run = { left, right, parts: [part] };
    runs.splice(follower, 0, run);
    return run;
  }

  /**
   * Takes out the first run when the stream has come up to it.
   *
   * @param offset Offset received in order up to.
   * @returns The run; its bytes before `offset`, if any, are duplicates. Undefined when there is still a gap.
   */
  take(offset: number): Run | undefined {
    const run = this.#runs[0];
    if (run === undefined || run.left > offset) return undefined;
    this.#runs.shift();
    this.#bytes -= run.right - run.left;
    this.#segments -= run.parts.length;
    return run;
  }

  /** Drops everything. */
  clear(): void {
    this.#runs.length = 0;
    this.#bytes = this.#segments = 0;
  }

  /** Index of the first run that ends at or after the offset. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#runs[mid]?.right ?? 0) < offset) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}
