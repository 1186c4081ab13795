/** Marks, shares and ends of what goes out to one client. */

import assert from "node:assert/strict";
import {
  DATAGRAM_QUEUE_BYTES,
  LAZY_REPLIES,
  LAZY_REPLY_MS,
  REPLY_HIGH_BYTES,
  REPLY_MAX_BYTES,
  WRITE_BUFFER_BYTES,
} from "../../../daemon/ipc/ipc_limits.ts";
import { type FrameSource, Outgoing } from "../../../daemon/ipc/outgoing.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import type { Clock } from "../../../platform/clock.ts";

/** A client whose socket takes a write when the test says so, and only then the next. */
class Client {
  readonly writes: Uint8Array[] = [];
  readonly dead: unknown[][] = [];
  /** Bytes of replies that wait, as they were told. */
  replies = 0;
  rooms = 0;
  readonly out: Outgoing;
  #write: { bytes: Uint8Array; taken: PromiseWithResolvers<number> } | undefined;
  #begun = Promise.withResolvers<void>();

  constructor(clock: Clock = new ManualClock()) {
    this.out = new Outgoing({
      clock,
      write: (bytes) => {
        assert.equal(this.#write, undefined, "two writes at once");
        this.#write = { bytes: bytes.slice(), taken: Promise.withResolvers() };
        this.#begun.resolve();
        return this.#write.taken.promise;
      },
      onDead: (...what) => void this.dead.push(what),
      onReplies: (delta) => void (this.replies += delta),
      onRoom: () => void this.rooms++,
    });
  }

  /** Takes the next write, or as much of it as is said. */
  async take(bytes?: number): Promise<Uint8Array> {
    const { bytes: all, taken } = await this.#next();
    const some = all.subarray(0, bytes);
    this.writes.push(some);
    taken.resolve(some.length);
    await settled();
    return some;
  }

  /** Ends the connection at the next write. */
  async fail(error: unknown): Promise<void> {
    (await this.#next()).taken.reject(error);
    await settled();
  }

  async #next() {
    await this.#begun.promise;
    const write = this.#write!;
    this.#write = undefined;
    this.#begun = Promise.withResolvers();
    return write;
  }

  /** Is there a write that waits? */
  get isWriting(): boolean {
    return this.#write !== undefined;
  }
}

/** Lets what is queued as microtasks run. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await undefined;
}

/** Frames of one value. */
function frame(bytes: number, value = 0): Uint8Array {
  return new Uint8Array(bytes).fill(value);
}

/** A source of frames of `size` bytes that has more until it is told. */
function endless(value: number, size: number): FrameSource & { more: boolean; pulls: number } {
  return {
    queued: false,
    more: true,
    pulls: 0,
    get ready() {
      return this.more;
    },
    pull(out, offset) {
      this.pulls++;
      const end = Math.min(out.length, offset + size);
      out.fill(value, offset, end);
      return end;
    },
  };
}

/** How many bytes of a write have a value. */
function count(bytes: Uint8Array, value: number): number {
  return bytes.reduce((sum, byte) => sum + (byte === value ? 1 : 0), 0);
}

Deno.test("above its mark of waiting replies a client is congested until half of it is left", async () => {
  const client = new Client();
  const { out } = client;
  const step = WRITE_BUFFER_BYTES;
  out.push(frame(step, 1));
  await settled(); // the first is in the write already and waits no more
  for (let n = 0; n < REPLY_HIGH_BYTES / step; n++) out.push(frame(step));
  assert.deepEqual([out.replyBytes, out.congested], [REPLY_HIGH_BYTES, false], "at the mark");
  out.push(frame(1));
  assert.deepEqual([out.replyBytes, out.congested], [REPLY_HIGH_BYTES + 1, true], "above it");
  assert.equal(client.replies, out.replyBytes);
  while (out.replyBytes > REPLY_HIGH_BYTES / 2) {
    assert.deepEqual([out.congested, client.rooms], [true, 0], `${out.replyBytes} bytes wait`);
    await client.take();
  }
  // Reported when the write has ended that brought it there.
  await client.take();
  assert.deepEqual([out.congested, client.rooms], [false, 1]);
  while (client.isWriting) await client.take();
  assert.deepEqual([out.replyBytes, client.replies, client.rooms], [0, 0, 1]);
  assert.equal(client.writes.reduce((sum, { length }) => sum + length, 0), 9 * step + 1);
  out.stop();
});

Deno.test("exactly half of the mark is room enough", async () => {
  const client = new Client();
  const { out } = client;
  out.push(frame(REPLY_HIGH_BYTES / 2 + 1));
  out.push(frame(REPLY_HIGH_BYTES / 2));
  assert.ok(out.congested);
  await client.take(); // larger than the buffer: on its own
  assert.deepEqual([out.congested, out.replyBytes, client.rooms], [false, 0, 1]);
  await client.take();
  out.stop();
});

Deno.test("a client may leave replies up to the bound unread, and is cut above it", () => {
  const client = new Client();
  client.out.push(frame(REPLY_MAX_BYTES));
  assert.deepEqual([client.dead, client.out.dead], [[], false]);
  client.out.push(frame(1));
  assert.deepEqual(client.dead, [["it does not read its replies", true, true]]);
  assert.deepEqual([client.out.dead, client.out.congested, client.replies], [true, false, 0]);
  assert.equal(client.rooms, 1, "whoever waits for room is told");
  client.out.push(frame(1));
  client.out.stop();
  assert.deepEqual([client.dead.length, client.replies, client.rooms], [1, 0, 1]);
});

Deno.test("a connection that breaks is reported once, with the original error", async () => {
  const client = new Client();
  client.out.push(frame(1));
  await settled();
  client.out.push(frame(REPLY_HIGH_BYTES + 1));
  const flushed = client.out.flushed();
  await client.fail(new Error("broken pipe"));
  await flushed;
  assert.deepEqual(client.dead, [["broken pipe", false, true]]);
  const other = new Client();
  other.out.push(frame(1));
  await other.fail("no error");
  assert.deepEqual(other.dead, [["no error", false, false]]);
  await other.out.flushed();
});

Deno.test("a connection that breaks while it is stopped is nobody's concern", async () => {
  const client = new Client();
  client.out.push(frame(1));
  await settled();
  client.out.stop();
  await client.fail(new Error("closed"));
  assert.deepEqual(client.dead, []);
});

Deno.test("what a socket does not take at once follows", async () => {
  const client = new Client();
  client.out.push(Uint8Array.of(1, 2, 3, 4, 5));
  assert.deepEqual([...await client.take(2)], [1, 2]);
  assert.deepEqual([...await client.take(0)], []);
  assert.deepEqual([...await client.take(1)], [3]);
  assert.deepEqual([...await client.take()], [4, 5]);
  assert.equal(client.isWriting, false);
  client.out.stop();
});

Deno.test("nothing of a half-taken write follows when the client is stopped meanwhile", async () => {
  const client = new Client();
  client.out.push(Uint8Array.of(1, 2, 3));
  await settled();
  client.out.stop();
  await client.take(1);
  assert.equal(client.isWriting, false);
});

Deno.test("datagrams and streams share a write, and datagrams take all of it while no stream waits", async () => {
  const client = new Client();
  const { out } = client;
  const stream = endless(2, 8 * 1024);
  out.offer(stream);
  for (let n = 0; n < 200; n++) out.pushDatagram(frame(1024, 1));
  const shared = await client.take();
  assert.equal(count(shared, 1), WRITE_BUFFER_BYTES / 2, "half for the datagrams");
  assert.equal(count(shared, 2), WRITE_BUFFER_BYTES / 2, "half for the stream");
  stream.more = false;
  while (client.isWriting) await client.take();
  for (let n = 0; n < 200; n++) out.pushDatagram(frame(1024, 1));
  assert.equal(count(await client.take(), 1), WRITE_BUFFER_BYTES);
  assert.equal(count(await client.take(), 1), 200 * 1024 - WRITE_BUFFER_BYTES);
  out.stop();
});

Deno.test("the share of datagrams is counted from behind the replies", async () => {
  const client = new Client();
  const stream = endless(2, 8 * 1024);
  client.out.offer(stream);
  client.out.push(frame(32 * 1024, 3));
  for (let n = 0; n < 200; n++) client.out.pushDatagram(frame(1024, 1));
  const write = await client.take();
  assert.deepEqual([1, 2, 3].map((value) => count(write, value) / 1024), [64, 32, 32]);
  client.out.stop();
  await client.take();
});

Deno.test("nothing overtakes a reply that did not fit into the write", async () => {
  const client = new Client();
  const stream = endless(2, 8 * 1024);
  client.out.push(frame(100 * 1024, 3));
  client.out.push(frame(100 * 1024, 4));
  client.out.pushDatagram(frame(10, 1));
  client.out.offer(stream);
  const [first, second] = [await client.take(), await client.take()];
  assert.deepEqual([first.length, count(first, 3)], [100 * 1024, 100 * 1024]);
  assert.deepEqual([4, 1].map((value) => count(second, value)), [100 * 1024, 10]);
  assert.equal(second[second.length - 1], 2);
  client.out.stop();
  await client.take();
});

Deno.test("a write is topped up by streams in turn, until too little of it is left for a frame", async () => {
  const client = new Client();
  const streams = [endless(1, 31 * 1024 + 1), endless(2, 31 * 1024 + 1)];
  for (const stream of streams) client.out.offer(stream);
  const first = await client.take();
  assert.deepEqual([1, 2].map((value) => count(first, value)), [
    62 * 1024 + 2,
    62 * 1024 + 2,
  ]);
  client.out.stop();
  await client.take();
  const tight = new Client();
  tight.out.push(frame(WRITE_BUFFER_BYTES - 4 * 1024, 3));
  const stream = endless(1, 1);
  tight.out.offer(stream);
  assert.equal(
    (await tight.take()).length,
    WRITE_BUFFER_BYTES - 4 * 1024 + 1,
    "4 KiB are worth it",
  );
  tight.out.stop();
});

Deno.test("a source that ends the client while it is asked is not queued again", async () => {
  const client = new Client();
  const source: FrameSource = {
    queued: false,
    ready: true,
    pull: (_out, offset) => {
      client.out.stop();
      return offset;
    },
  };
  client.out.offer(source);
  assert.equal(source.queued, true);
  await client.out.flushed();
  assert.equal(source.queued, false);
  client.out.offer(source);
  assert.equal(source.queued, false, "a dead client has no queue");
  assert.equal(client.isWriting, false);
});

Deno.test("a source is queued once, while it has frames, and released when the client is stopped", async () => {
  const client = new Client();
  const source = endless(1, WRITE_BUFFER_BYTES);
  source.more = false;
  client.out.offer(source);
  assert.equal(source.queued, false, "it has nothing");
  source.more = true;
  client.out.offer(source);
  client.out.offer(source);
  await client.take();
  assert.equal(source.pulls, 2, "once for each write");
  assert.equal(source.queued, true);
  client.out.stop();
  assert.equal(source.queued, false);
  await client.take();
  assert.equal(source.pulls, 2);
});

Deno.test("a source that offers itself while it is asked has one turn, not two", async () => {
  const client = new Client();
  let left = 3;
  const source: FrameSource = {
    queued: false,
    get ready() {
      return left > 0;
    },
    pull(out, offset) {
      left--;
      client.out.offer(source);
      out[offset] = 1;
      return offset + 1;
    },
  };
  client.out.offer(source);
  client.out.offer(endlessly(2, 3));
  assert.deepEqual([...await client.take()], [1, 2, 1, 2, 1, 2]);
  client.out.stop();

  function endlessly(value: number, times: number): FrameSource {
    const other = endless(value, 1);
    return {
      queued: false,
      get ready() {
        return other.pulls < times;
      },
      pull: (out, offset) => other.pull(out, offset),
    };
  }
});

Deno.test("datagrams wait up to their bound, to the byte, and what is dropped does not leave", async () => {
  const client = new Client();
  const { out } = client;
  out.push(frame(1));
  await settled();
  const size = DATAGRAM_QUEUE_BYTES / 16;
  for (let n = 0; n < 15; n++) out.pushDatagram(frame(size, 1));
  out.pushDatagram(frame(size - 10, 1));
  out.pushDatagram(frame(11, 2));
  assert.equal(out.droppedDatagrams, 1);
  out.pushDatagram(frame(10, 1));
  assert.equal(out.droppedDatagrams, 1);
  out.pushDatagram(frame(1, 2));
  assert.equal(out.droppedDatagrams, 2);
  await client.take();
  let left = 0;
  while (client.isWriting) left += count(await client.take(), 1);
  assert.equal(left, DATAGRAM_QUEUE_BYTES);
  assert.equal(client.writes.reduce((sum, { length }) => sum + length, 0), left + 1);
  out.stop();
  out.pushDatagram(frame(1));
  assert.equal(out.droppedDatagrams, 2, "a dead client loses nothing");
});

Deno.test("a thousand and more frames in the queue leave in order", async () => {
  const client = new Client();
  const sent = Array.from({ length: 5000 }, (_, n) => n % 251);
  for (const n of sent) client.out.push(frame(100, n));
  while (client.out.replyBytes > 0 || client.isWriting) await client.take();
  const bytes = client.writes.flatMap((write) => [...write]);
  assert.deepEqual(bytes.filter((_, at) => at % 100 === 0), sent);
  client.out.stop();
});

Deno.test("replies nobody waits for leave together, when there are enough or after their time", async () => {
  const clock = new ManualClock();
  const client = new Client(clock);
  const { out } = client;
  for (let n = 1; n < LAZY_REPLIES; n++) out.pushLazily(Uint8Array.of(n));
  await settled();
  assert.equal(client.isWriting, false, "they wait for company");
  out.pushLazily(Uint8Array.of(LAZY_REPLIES));
  assert.deepEqual([...await client.take()], [1, 2, 3, 4]);
  // Alone, after its time and not before. The timer of the last ones is still there.
  await clock.run(LAZY_REPLY_MS);
  out.pushLazily(Uint8Array.of(5));
  await clock.run(LAZY_REPLY_MS - 1);
  assert.equal(client.isWriting, false);
  await clock.run(1);
  assert.deepEqual([...await client.take()], [5]);
  // With whatever comes next; then the time passes for nothing.
  out.pushLazily(Uint8Array.of(6));
  out.push(Uint8Array.of(7));
  assert.deepEqual([...await client.take()], [6, 7]);
  await clock.run(LAZY_REPLY_MS);
  assert.equal(client.isWriting, false);
  // While a write is under way they go with the next, without a timer.
  out.push(Uint8Array.of(8));
  await settled();
  out.pushLazily(Uint8Array.of(9));
  assert.equal(clock.pending, 0);
  assert.deepEqual([[...await client.take()], [...await client.take()]], [[8], [9]]);
  // Counting starts over with each write.
  for (let n = 1; n < LAZY_REPLIES; n++) out.pushLazily(Uint8Array.of(n));
  await settled();
  assert.equal(client.isWriting, false);
  out.stop();
  assert.equal(clock.pending, 0);
  out.pushLazily(Uint8Array.of(1));
  assert.deepEqual([clock.pending, client.replies], [0, 0]);
});
