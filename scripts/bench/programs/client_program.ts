/**
 * The dialling end: makes the traffic and takes the times.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { flood, PAYLOAD } from "./flood.ts";
import { MESSAGE_ECHO, Mode } from "./modes.ts";
import type { Operations } from "./operations.ts";
import type { ByteStream, Transport } from "./measured_transport.ts";
import { measured } from "./window.ts";

/** Content of a ping where the transport has none of its own. */
const PING_BYTES = 64;
/** Messages under way at a time: enough to hide the wait for each, few enough that nothing has to be dropped here. */
const MESSAGES_UNDER_WAY = 32;
/** Longest wait for a message that should come back, milliseconds. */
const MESSAGE_LOST_MS = 1_000;

/** Dials. */
export class Client {
  /** What can be asked for. */
  readonly operations: Operations = {
    /** Opens `streams` streams of a mode and writes to all until `stop`. */
    flood: ({ streams, mode }) => this.#flood(streams, mode),
    /** The same on one echo stream. */
    floodEcho: () => this.#floodEcho(),
    /** Bytes that came back in the next `ms` milliseconds. */
    window: ({ ms }) => measured(ms, () => ({ bytes: this.#bytes })),
    /** Ends what `flood` began. */
    stop: () => this.#stop(),
    /** `count` round trips. */
    ping: ({ count }) => this.#pings(count),
    /** `count` small round trips over one stream. */
    roundTrips: ({ count }) => this.#roundTrips(count),
    /** Opens `count` streams one after the other. */
    dial: ({ count }) => this.#dials(count),
    /** The first stream of all. */
    first: () => this.#first(),
    /** Opens `count` connections and keeps them. */
    hold: ({ count }) => this.#hold(count),
    /** Sends messages of `bytes` bytes for `ms` milliseconds. */
    messages: ({ ms, bytes }) => this.#messages(ms, bytes),
    /** `count` messages there and back. */
    messageTrips: ({ count }) => this.#messageTrips(count),
    /** Sends `bytes` bytes and ends the stream. */
    send: ({ bytes }) => this.#send(bytes),
  };
  readonly #transport: Transport;
  #streams: ByteStream[] = [];
  #abort = new AbortController();
  #floods: Promise<void>[] = [];
  #failure: unknown;
  #bytes = 0;
  #incoming: AsyncIterator<Uint8Array> | undefined;

  /** @param transport Prepared. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async #dial(mode: number): Promise<ByteStream> {
    const stream = await this.#transport.dial();
    await stream.write(new Uint8Array([mode]));
    return stream;
  }

  async #echo(): Promise<ByteStream> {
    return await this.#transport.dialEcho?.() ?? await this.#dial(Mode.Echo);
  }

  async #flood(streams: number, mode: number): Promise<Record<string, unknown>> {
    const dials = Array.from({ length: streams }, () => this.#dial(mode));
    this.#start(await Promise.all(dials));
    return {};
  }

  async #floodEcho(): Promise<Record<string, unknown>> {
    this.#start([await this.#echo()]);
    return {};
  }

  #start(streams: ByteStream[]): void {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#failure = undefined;
    this.#streams = streams;
    const guard = (work: Promise<void>) =>
      work.catch((error) => {
        if (!signal.aborted) this.#failure ??= error;
      });
    this.#floods = streams.flatMap((stream) => [
      guard(flood(stream, signal)),
      guard(this.#count(stream)),
    ]);
  }

  async #count(stream: ByteStream): Promise<void> {
    for (let data; (data = await stream.read()) !== undefined;) this.#bytes += data.length;
  }

  async #stop(): Promise<Record<string, unknown>> {
    this.#abort.abort();
    for (const stream of this.#streams.splice(0)) stream.abort();
    await Promise.all(this.#floods.splice(0));
    if (this.#failure !== undefined) throw this.#failure;
    return {};
  }

  async #pings(count: number): Promise<Record<string, unknown>> {
    const { ping } = this.#transport;
    if (ping === undefined) return await this.#roundTrips(count);
    const times = [];
    for (let i = 0; i < count; i++) times.push(await timed(ping));
    return { times };
  }

  async #roundTrips(count: number): Promise<Record<string, unknown>> {
    const stream = await this.#echo();
    const data = PAYLOAD.subarray(0, PING_BYTES);
    const times = [];
    for (let i = 0; i < count; i++) {
      times.push(
        await timed(async () => {
          await stream.write(data);
          await readAll(stream, data.length);
        }),
      );
    }
    stream.abort();
    return { times };
  }

  async #dials(count: number): Promise<Record<string, unknown>> {
    const times = [];
    const streams: ByteStream[] = [];
    // A QUIC stream costs nothing to open: what counts is that the far end has it and has answered.
    const whole = this.#transport.lazyDial === true;
    for (let i = 0; i < count; i++) {
      times.push(
        await timed(async () => {
          const stream = await this.#transport.dial();
          streams.push(stream);
          if (whole) await bounce(stream);
        }),
      );
      if (!whole) await bounce(streams[i]!);
      streams[i]!.abort();
    }
    return { times };
  }

  async #first(): Promise<Record<string, unknown>> {
    const time = await timed(async () => bounce(this.#keep(await this.#transport.dialFresh())));
    for (const stream of this.#streams.splice(0)) stream.abort();
    return { times: [time] };
  }

  async #hold(count: number): Promise<Record<string, unknown>> {
    for (let i = 0; i < count; i++) await bounce(this.#keep(await this.#transport.dialFresh()));
    return {};
  }

  #keep(stream: ByteStream): ByteStream {
    this.#streams.push(stream);
    return stream;
  }

  async #messages(ms: number, bytes: number): Promise<Record<string, unknown>> {
    const data = PAYLOAD.slice(0, bytes);
    data[0] = 0;
    const end = performance.now() + ms;
    let sent = 0;
    const sender = async () => {
      while (performance.now() < end) {
        await this.#transport.sendMessage!(data);
        sent++;
      }
    };
    await Promise.all(Array.from({ length: MESSAGES_UNDER_WAY }, sender));
    return { sent };
  }

  async #messageTrips(count: number): Promise<Record<string, unknown>> {
    this.#incoming ??= this.#transport.messages!()[Symbol.asyncIterator]();
    const data = PAYLOAD.slice(0, PING_BYTES);
    data[0] = MESSAGE_ECHO;
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      times.push(
        await timed(async () => {
          await this.#transport.sendMessage!(data);
          await within(MESSAGE_LOST_MS, this.#incoming!.next());
        }),
      );
    }
    return { times };
  }

  async #send(bytes: number): Promise<Record<string, unknown>> {
    const hash = createHash("sha256");
    const stream = await this.#dial(Mode.Hash);
    // Every chunk is another: one that arrives twice or in another's place changes the hash.
    for (let left = bytes, number = 0; left > 0; number++) {
      const chunk = PAYLOAD.slice(0, Math.min(left, PAYLOAD.length));
      if (chunk.length >= 4) new DataView(chunk.buffer).setUint32(0, number);
      hash.update(chunk);
      await stream.write(chunk);
      left -= chunk.length;
    }
    await stream.finish();
    return { sha256: hash.digest("hex") };
  }
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

/** One byte there and back. */
async function bounce(stream: ByteStream): Promise<void> {
  await stream.write(new Uint8Array([Mode.Echo, 1]));
  await readAll(stream, 1);
}

async function readAll(stream: ByteStream, bytes: number): Promise<void> {
  for (let left = bytes; left > 0;) {
    const data = await stream.read();
    if (data === undefined) throw new Error("The stream ended early");
    left -= data.length;
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`A message was lost (${ms} ms)`)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
