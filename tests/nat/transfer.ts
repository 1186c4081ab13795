/**
 * A bulk transfer over one stream that notes when its bytes arrive.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Conn, Listener } from "../../mod.ts";
import { eventually } from "../e2e/processes.ts";
import type { Daemon } from "./processes.ts";

const PORT = 4000;
const CHUNK_BYTES = 64 * 1024;
const DIAL_MS = 15_000;

/** A transfer under way. */
export class Transfer implements AsyncDisposable {
  readonly #bytes: number;
  readonly #marker: string | undefined;
  readonly #listener: Listener;
  readonly #out: Conn;
  readonly #sent = createHash("sha256");
  readonly #got = createHash("sha256");
  readonly #arrivalsMs: number[] = [performance.now()];
  readonly #done: Promise<Error | undefined>;
  #arrived = 0;
  #failure: Error | undefined;

  /** Starts sending from a to b: random bytes, or one text again and again. */
  static async start(a: Daemon, b: Daemon, bytes: number, marker?: string): Promise<Transfer> {
    const listener = await b.driver.listen(PORT);
    const accepting = listener.accept();
    const out = await a.driver.dial(b.node, PORT, { timeoutMs: DIAL_MS });
    return new Transfer(bytes, marker, listener, out, await accepting);
  }

  private constructor(
    bytes: number,
    marker: string | undefined,
    listener: Listener,
    out: Conn,
    into: Conn,
  ) {
    this.#marker = marker;
    this.#bytes = bytes;
    this.#listener = listener;
    this.#out = out;
    this.#done = Promise.all([this.#write(out), this.#read(into)]).then(
      () => undefined,
      (error: Error) => this.#failure = error,
    );
  }

  /** Bytes that have arrived. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Waits until so many bytes more are there, or all; false when they do not come in time. */
  async more(bytes: number, timeoutMs: number): Promise<boolean> {
    const wanted = Math.min(this.#arrived + bytes, this.#bytes);
    const arrive = eventually(`${wanted} bytes arrive`, () => {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#arrived >= wanted || undefined;
    }, timeoutMs);
    return await arrive.then(() => true, () => false);
  }

  /** Longest time without a byte since `fromMs`, ms. */
  longestGapMs(fromMs: number): number {
    const times = this.#arrivalsMs.filter((ms) => ms > fromMs);
    if (this.#arrived < this.#bytes) times.push(performance.now());
    let [longest, last] = [0, fromMs];
    for (const ms of times) {
      longest = Math.max(longest, ms - last);
      last = ms;
    }
    return longest;
  }

  /** Waits for the end; why it failed, or undefined when every byte is right. */
  async failure(): Promise<string | undefined> {
    const error = await this.#done;
    if (error !== undefined) return error.message;
    const isRight = this.#sent.digest("hex") === this.#got.digest("hex");
    return isRight ? undefined : "the hashes differ";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#out.abort();
    await this.#done;
    await this.#listener.close();
  }

  async #write(out: Conn): Promise<void> {
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let left = this.#bytes; left > 0; left -= CHUNK_BYTES) {
      const part = chunk.subarray(0, Math.min(left, CHUNK_BYTES));
      if (this.#marker === undefined) crypto.getRandomValues(part);
      else {part.set(
          new TextEncoder().encode(this.#marker.repeat(part.length)).subarray(0, part.length),
        );}
      this.#sent.update(part);
      await out.write(part);
    }
  }

  async #read(into: Conn): Promise<void> {
    while (this.#arrived < this.#bytes) {
      const chunk = await into.read();
      assert.ok(chunk, "the stream ended early");
      this.#got.update(chunk);
      this.#arrived += chunk.length;
      this.#arrivalsMs.push(performance.now());
    }
  }
}
