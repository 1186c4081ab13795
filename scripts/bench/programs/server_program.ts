/**
 * The listening end: serves streams and counts.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { flood } from "./flood.ts";
import { MESSAGE_ECHO, Mode } from "./modes.ts";
import type { Operations } from "./operations.ts";
import type { ByteStream, Message } from "./measured_transport.ts";
import { measured } from "./window.ts";

/** Serves. */
export class Server {
  /** What can be asked for. */
  readonly operations: Operations = {
    /** Bytes, streams' bytes and messages of the next `ms` milliseconds. */
    window: ({ ms }) => this.#window(ms),
    /** Waits until no stream is open. */
    quiet: () => this.#quiet(),
    /** Waits for the stream that is hashed. */
    hashed: () => this.#hashed.promise,
  };
  #bytes = 0;
  #messages = 0;
  #messageBytes = 0;
  #hashed = Promise.withResolvers<{ bytes: number; sha256: string }>();
  /** Bytes of every open stream. */
  readonly #streams = new Map<ByteStream, { bytes: number }>();
  #onQuiet: (() => void) | undefined;

  /** A stream was opened to us. */
  readonly onStream = (stream: ByteStream): void => {
    this.#streams.set(stream, { bytes: 0 });
    this.#serve(stream)
      // The dialling end gives streams up when it has measured enough.
      .catch(() => stream.abort())
      .finally(() => {
        this.#streams.delete(stream);
        if (this.#streams.size === 0) this.#onQuiet?.();
      });
  };

  /** A message arrived. */
  readonly onMessage = ({ data, reply }: Message): void => {
    this.#messages++;
    this.#messageBytes += data.length;
    // A lost answer is the dialling end's to notice: messages may get lost.
    if (data[0] === MESSAGE_ECHO) reply(data).catch(() => {});
  };

  async #serve(stream: ByteStream): Promise<void> {
    const first = await stream.read();
    if (first === undefined || first.length === 0) return stream.abort();
    const [mode, rest] = [first[0], first.subarray(1)];
    if (mode === Mode.Echo) return await this.#echo(stream, rest);
    if (mode === Mode.Hash) return await this.#hash(stream, rest);
    const stop = new AbortController();
    if (mode === Mode.Both) flood(stream, stop.signal).catch(() => stream.abort());
    const count = this.#streams.get(stream)!;
    const take = (bytes: number) => {
      this.#bytes += bytes;
      count.bytes += bytes;
    };
    take(rest.length);
    try {
      for (let data; (data = await stream.read()) !== undefined;) take(data.length);
    } finally {
      stop.abort();
    }
    stream.abort();
  }

  async #echo(stream: ByteStream, first: Uint8Array): Promise<void> {
    if (first.length > 0) await stream.write(first.slice());
    // Copied: a read's bytes are only good until the next read.
    for (let data; (data = await stream.read()) !== undefined;) await stream.write(data.slice());
    await stream.finish();
  }

  async #hash(stream: ByteStream, first: Uint8Array): Promise<void> {
    const hash = createHash("sha256").update(first);
    let bytes = first.length;
    try {
      for (let data; (data = await stream.read()) !== undefined; bytes += data.length) {
        hash.update(data);
      }
      this.#hashed.resolve({ bytes, sha256: hash.digest("hex") });
    } catch (error) {
      this.#hashed.reject(error);
    }
    stream.abort();
  }

  async #window(ms: number): Promise<Record<string, unknown>> {
    const before = new Map([...this.#streams].map(([stream, { bytes }]) => [stream, bytes]));
    const read = () => ({
      bytes: this.#bytes,
      messages: this.#messages,
      messageBytes: this.#messageBytes,
    });
    const window = await measured(ms, read);
    const streams = [...before].map(([stream, bytes]) =>
      (this.#streams.get(stream)?.bytes ?? bytes) - bytes
    );
    return { ...window, streams };
  }

  async #quiet(): Promise<Record<string, unknown>> {
    while (this.#streams.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onQuiet = resolve;
      });
    }
    this.#hashed = Promise.withResolvers();
    return {};
  }
}
