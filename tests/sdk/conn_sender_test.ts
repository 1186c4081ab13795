/** The send side of a connection, frame by frame. */

import assert from "node:assert/strict";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd, encodeConn, encodeTaggedError } from "../../protocol/ipc/mod.ts";
import type { ReplySink } from "../../sdk/call.ts";
import { SEND_CHUNK_BYTES, Sender, type SendSession } from "../../sdk/conn_sender.ts";
import { LEAST_SEND_WINDOW_BYTES, SendBudget } from "../../sdk/send_budget.ts";
import { FakeDaemon } from "./fake_daemon.ts";
import { bytes, dialPair, isPending, pattern, rejectsWith, turn } from "./support.ts";

const KIB = 1024;

/** A window that the test chooses. */
class FixedBudget extends SendBudget {
  size: number | undefined;

  override window(held: number): number {
    return this.size ?? super.window(held);
  }
}

/** A conversation whose frames the test sees and answers. */
class FakeSession implements SendSession {
  readonly budget = new FixedBudget();
  readonly frames: Uint8Array[][] = [];
  readonly tagged: boolean;
  #sink: ReplySink | undefined;
  #flushes: PromiseWithResolvers<void>[] = [];

  constructor(tagged = true) {
    this.tagged = tagged;
  }

  sendTagged(sink: ReplySink, cmd: number, ...parts: Uint8Array[]): number {
    this.#sink = sink;
    this.send(cmd, ...parts);
    return this.frames.length;
  }

  send(cmd: number, ...[id, ...parts]: Uint8Array[]): void {
    assert.equal(cmd, Cmd.Send);
    assert.deepEqual(id, encodeConn(7));
    this.frames.push(parts.map((part) => part.slice()));
  }

  flushed(): Promise<void> {
    const flush = Promise.withResolvers<void>();
    this.#flushes.push(flush);
    return flush.promise;
  }

  /** An old daemon has read the oldest frames. */
  async flush(count = Infinity): Promise<void> {
    for (const flush of this.#flushes.splice(0, count)) flush.resolve();
    await turn();
  }

  /** The daemon takes the oldest frames. */
  answer(count = 1): void {
    for (let i = 0; i < count; i++) this.#sink!.onReply(Cmd.Send, new Uint8Array());
  }

  /** The daemon refuses the oldest frame. */
  refuse(error: PilotError): void {
    this.#sink!.onReply(Cmd.Error, encodeTaggedError(error));
  }

  /** Sizes of the frames sent. */
  get sizes(): number[] {
    return this.frames.map((parts) => parts.reduce((sum, { length }) => sum + length, 0));
  }

  /** All bytes sent. */
  get data(): Uint8Array {
    return new Uint8Array(this.frames.flat().flatMap((part) => [...part]));
  }
}

function setup({ tagged = true, window }: { tagged?: boolean; window?: number } = {}) {
  const session = new FakeSession(tagged);
  session.budget.size = window;
  const sender = new Sender(session, 7, "the peer");
  return { session, sender };
}

/** Several outcomes, so that no rejection stands alone. */
function outcomes(...calls: Promise<void>[]): Promise<string[]> {
  return Promise.all(calls.map((call) =>
    call.then(
      () => "ok",
      (error) => error instanceof PilotError ? `${error.code}: ${error.message}` : String(error),
    )
  ));
}

const REFUSED = new PilotError("untrusted", "Trust was revoked");
/** What later writes get. */
const ENDED_BY_PEER = "connection_closed: the peer: closed by the peer";
const ENDED = new PilotError("connection_closed", "The peer has ended");

Deno.test("Sender gives no frame more than 1024 writes", async () => {
  const { session, sender } = setup();
  const first = Array.from({ length: 16 }, () => sender.write(bytes("x")));
  const waiting = Array.from({ length: 2500 }, (_, n) => sender.write(Uint8Array.of(n)));
  assert.equal(session.frames.length, 16);
  session.answer(3);
  assert.deepEqual(session.frames.slice(16).map(({ length }) => length), [1024, 1024, 452]);
  session.answer(16);
  await Promise.all([...first, ...waiting]);
  assert.deepEqual(session.data.slice(16), Uint8Array.from({ length: 2500 }, (_, n) => n));
});

Deno.test("Sender cuts a long write into frames and resolves it when the last is taken", async () => {
  const { session, sender } = setup();
  const data = pattern(2 * SEND_CHUNK_BYTES + 10);
  const write = sender.write(data);
  assert.deepEqual(session.sizes, [SEND_CHUNK_BYTES, SEND_CHUNK_BYTES, 10]);
  session.answer(2);
  assert.ok(await isPending(write));
  session.answer();
  await write;
  assert.deepEqual(session.data, data);
  assert.equal(session.budget.used, 0);
});

Deno.test("Sender joins writes up to a whole frame and takes the rest of one into the next", async () => {
  const { session, sender } = setup();
  const begin = Array.from({ length: 16 }, () => sender.write(bytes("x")));
  const long = pattern(SEND_CHUNK_BYTES - 5);
  const writes = [sender.write(long), sender.write(bytes("0123456789"))];
  session.answer(2);
  assert.deepEqual(session.sizes.slice(16), [SEND_CHUNK_BYTES, 5]);
  assert.deepEqual(session.frames[16]!.map(({ length }) => length), [long.length, 5]);
  assert.deepEqual(session.frames[17], [bytes("56789")]);
  session.answer(15);
  assert.deepEqual([await isPending(writes[0]!), await isPending(writes[1]!)], [false, true]);
  session.answer();
  await Promise.all([...begin, ...writes]);
});

Deno.test("Sender has two frames in a small window, and waits with a sliver that is not the end", async () => {
  const { session, sender } = setup({ window: 32 * KIB });
  const data = pattern(41 * KIB);
  const write = sender.write(data);
  assert.deepEqual(session.sizes, [16 * KIB, 16 * KIB]);
  session.answer();
  assert.deepEqual(session.sizes.slice(2), [9 * KIB], "the end needs no whole frame");
  session.answer(2);
  await write;
  const least = setup({ window: LEAST_SEND_WINDOW_BYTES });
  const slow = least.sender.write(pattern(10 * KIB));
  assert.deepEqual(least.session.sizes, [8 * KIB], "one of the least size, if need be");
  least.session.budget.size = LEAST_SEND_WINDOW_BYTES + KIB;
  least.session.answer();
  least.session.answer();
  await slow;
  assert.deepEqual(least.session.sizes, [8 * KIB, 2 * KIB]);
});

Deno.test("Sender fills a window to the last byte and not beyond", async () => {
  const { session, sender } = setup({ window: 20 * KIB });
  const writes = [sender.write(pattern(12 * KIB)), sender.write(pattern(8 * KIB))];
  assert.deepEqual(session.sizes, [10 * KIB, 2 * KIB, 8 * KIB]);
  const more = sender.write(bytes("x"));
  assert.equal(session.frames.length, 3);
  session.answer(4);
  await Promise.all([...writes, more]);
});

Deno.test("Sender has at most 16 frames unanswered", async () => {
  const { session, sender } = setup();
  const writes = Array.from({ length: 18 }, (_, n) => sender.write(Uint8Array.of(n)));
  assert.equal(session.frames.length, 16);
  session.answer();
  assert.deepEqual(session.sizes.slice(16), [2], "what waited leaves joined");
  session.answer(16);
  await Promise.all(writes);
});

Deno.test("Sender resolves an early write when its last byte has left", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const early = sender.write(pattern(16 * KIB), { early: true });
  assert.equal(await isPending(early), false);
  const waits = sender.write(pattern(KIB), { early: true });
  assert.ok(await isPending(waits));
  session.answer(1);
  assert.equal(await isPending(waits), false);
  session.answer(2);
  await sender.finish();
});

Deno.test("Sender has nothing to do for an empty write", async () => {
  const { session, sender } = setup();
  await sender.write(new Uint8Array());
  assert.equal(session.frames.length, 0);
  await sender.finish();
  await rejectsWith(sender.write(new Uint8Array()), "connection_closed", /closed on this side/);
});

Deno.test("Sender lets an aborted write be when all of its bytes have left", async () => {
  const { session, sender } = setup();
  const controller = new AbortController();
  const doomed = sender.write(bytes("gone"), { signal: controller.signal });
  const after = sender.write(bytes(" on"));
  controller.abort();
  await rejectsWith(doomed, "aborted", /Writing to the peer/);
  assert.ok(await isPending(after));
  session.answer(2);
  await after;
  const last = sender.write(bytes("!"));
  session.answer();
  await last;
  assert.deepEqual(session.data, bytes("gone on!"), "no byte is taken back");
});

Deno.test("Sender lets an aborted write be that was the last to leave", async () => {
  const { session, sender } = setup();
  const controller = new AbortController();
  const doomed = sender.write(bytes("gone"), { signal: controller.signal });
  controller.abort();
  await rejectsWith(doomed, "aborted");
  const next = sender.write(bytes("!"));
  session.answer(2);
  await next;
  assert.deepEqual(session.data, bytes("gone!"));
});

Deno.test("Sender sends the rest whole when a write before it is cut out", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const first = sender.write(new Uint8Array(16 * KIB));
  const controller = new AbortController();
  const doomed = sender.write(bytes("lost"), { signal: controller.signal });
  const data = pattern(20 * KIB, 5);
  const later = sender.write(data);
  controller.abort();
  await rejectsWith(doomed, "aborted");
  session.answer(5);
  await Promise.all([first, later]);
  assert.deepEqual(session.data.slice(16 * KIB), data);
});

Deno.test("Sender leaves nothing at the signal of a write that is settled", async () => {
  const { session, sender } = setup();
  const { signal } = new AbortController();
  const listeners: string[] = [];
  const add = signal.addEventListener.bind(signal) as typeof signal.addEventListener;
  const remove = signal.removeEventListener.bind(signal) as typeof signal.removeEventListener;
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.push("added");
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.push("removed");
    remove(...args);
  };
  const taken = sender.write(bytes("x"), { signal });
  assert.deepEqual(listeners, ["added"]);
  session.answer();
  await taken;
  assert.deepEqual(listeners, ["added", "removed"]);
  const refused = sender.write(bytes("y"), { signal });
  session.refuse(REFUSED);
  await rejectsWith(refused, "untrusted");
  assert.deepEqual(listeners, ["added", "removed", "added", "removed"]);
});

Deno.test("Sender cuts an aborted write out when none of its bytes have left, wherever it stands", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const first = sender.write(pattern(16 * KIB));
  const controller = new AbortController();
  const before = sender.write(bytes("a"));
  const doomed = sender.write(bytes("lost"), { signal: controller.signal });
  const later = [sender.write(bytes("b")), sender.write(bytes("c"))];
  controller.abort();
  await rejectsWith(doomed, "aborted");
  session.answer(3);
  await Promise.all([first, before, ...later]);
  assert.deepEqual(session.data.slice(16 * KIB), bytes("abc"));
  // Settled: its signal means nothing any more.
  const settled = new AbortController();
  const done = sender.write(bytes("d"), { signal: settled.signal });
  session.answer();
  await done;
  settled.abort();
  const next = sender.write(bytes("e"));
  session.answer();
  await next;
  await sender.finish();
});

Deno.test("Sender ends the stream when an aborted write has left half of its bytes", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const controller = new AbortController();
  const doomed = sender.write(pattern(16 * KIB + 1), { signal: controller.signal });
  const after = sender.write(bytes("x"));
  const ends = outcomes(doomed, after);
  controller.abort();
  const half = "connection_closed: Writing to the peer: an aborted write left half of its bytes";
  assert.deepEqual(await ends, ["aborted: Writing to the peer was aborted", half]);
  assert.deepEqual(await outcomes(sender.write(bytes("y"))), [half]);
  session.answer();
});

Deno.test("Sender refuses a write whose signal has fired, and says so before anything leaves", async () => {
  const { session, sender } = setup();
  await rejectsWith(sender.write(bytes("x"), { signal: AbortSignal.abort() }), "aborted");
  assert.equal(session.frames.length, 0);
});

Deno.test("Sender reports a failure once where every write was early, and to each write that waits", async () => {
  const { session, sender } = setup();
  await sender.write(bytes("early"), { early: true });
  session.refuse(REFUSED);
  assert.deepEqual(
    [await outcomes(sender.finish()), await outcomes(sender.finish())],
    [["untrusted: Trust was revoked"], ["ok"]],
  );
  const told = setup();
  await told.sender.write(bytes("early"), { early: true });
  told.session.refuse(REFUSED);
  await rejectsWith(told.sender.write(bytes("x")), "untrusted");
  await told.sender.finish(); // a write has reported it
  const waiting = setup();
  const write = waiting.sender.write(bytes("x"));
  waiting.session.refuse(REFUSED);
  await rejectsWith(write, "untrusted");
  await waiting.sender.finish(); // this one, too
  await rejectsWith(waiting.sender.write(bytes("y")), "untrusted", /revoked/);
});

Deno.test("Sender keeps the first of several failures", async () => {
  const { session, sender } = setup();
  const write = sender.write(bytes("x"));
  session.refuse(REFUSED);
  sender.fail(ENDED);
  sender.onLost(ENDED);
  await rejectsWith(write, "untrusted");
  await rejectsWith(sender.write(bytes("y")), "untrusted");
  await sender.finish();
});

Deno.test("Sender has nothing to report when the daemon had everything", async () => {
  const { session, sender } = setup();
  await sender.write(bytes("x"), { early: true });
  session.answer();
  sender.onLost(ENDED);
  await sender.finish();
});

Deno.test("Sender.finish waits for the answers and takes no more writes meanwhile", async () => {
  const { session, sender } = setup();
  const writes = [sender.write(bytes("a")), sender.write(bytes("b"), { early: true })];
  const finish = sender.finish();
  await rejectsWith(sender.write(bytes("c")), "connection_closed");
  session.answer();
  assert.ok(await isPending(finish));
  session.answer();
  await Promise.all([finish, ...writes]);
});

Deno.test("Sender.finish waits for the answer to an early write", async () => {
  const { session, sender } = setup();
  await sender.write(bytes("a"), { early: true });
  const finish = sender.finish();
  assert.ok(await isPending(finish));
  session.answer();
  await finish;
});

Deno.test("Sender takes writes again when the close after Sender.finish was refused", async () => {
  const { session, sender } = setup();
  const finished = sender.finish();
  await rejectsWith(sender.write(bytes("a")), "connection_closed", /closed/);
  await finished;
  sender.reopen();
  const written = sender.write(bytes("b"));
  await turn();
  session.answer();
  await written;
  assert.deepEqual(session.sizes, [1]);
});

Deno.test("Sender.finish ends with the connection", async () => {
  const { sender } = setup();
  const write = sender.write(bytes("a"));
  const finish = sender.finish();
  const ends = outcomes(write, finish);
  sender.onLost(ENDED);
  assert.deepEqual(await ends, ["connection_closed: The peer has ended", "ok"]);
});

Deno.test("at the peer's end writes that have not left are refused, those in flight are answered for", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const sent = sender.write(pattern(16 * KIB));
  const half = sender.write(pattern(10));
  const unsent = sender.write(bytes("x"));
  const refused = outcomes(half, unsent);
  sender.remoteEnded();
  const ended = ENDED_BY_PEER;
  assert.deepEqual(await refused, [ended, ended]);
  assert.ok(await isPending(sent));
  assert.deepEqual(await outcomes(sender.write(bytes("y"))), [ended]);
  assert.equal(session.frames.length, 2, "nothing new leaves");
  session.answer();
  assert.ok(await isPending(sent));
  session.answer();
  await sent;
  await sender.finish();
  assert.deepEqual(await outcomes(sender.write(bytes("z"))), [ended]);
});

Deno.test("at the peer's end a half-sent write is refused, and the first reason stays", async () => {
  const { session, sender } = setup({ window: 16 * KIB });
  const half = sender.write(pattern(20 * KIB));
  const refused = outcomes(half);
  sender.remoteEnded();
  sender.remoteEnded();
  assert.deepEqual(await refused, [ENDED_BY_PEER]);
  session.answer(2);
  sender.onLost(REFUSED);
  await rejectsWith(sender.write(bytes("y")), "connection_closed");
});

Deno.test("at the peer's end one frame in flight is waited for, and its reason outlives the daemon", async () => {
  const { session, sender } = setup();
  const write = sender.write(bytes("x"));
  sender.remoteEnded();
  assert.ok(await isPending(write));
  session.answer();
  await write;
  sender.onLost(REFUSED);
  await rejectsWith(sender.write(bytes("y")), "connection_closed");
});

Deno.test("at the peer's end nothing is waited for when nothing is in flight", async () => {
  const { session, sender } = setup();
  sender.remoteEnded();
  await rejectsWith(sender.write(bytes("x")), "connection_closed");
  assert.equal(session.frames.length, 0);
  await sender.finish();
});

Deno.test("an old daemon answers nothing: what it has read from its socket is taken", async () => {
  const { session, sender } = setup({ tagged: false });
  const data = pattern(SEND_CHUNK_BYTES + 3);
  const write = sender.write(data);
  assert.deepEqual(session.sizes, [SEND_CHUNK_BYTES, 3]);
  await session.flush(1);
  assert.ok(await isPending(write));
  await session.flush();
  await write;
  assert.deepEqual(session.data, data);
  await sender.finish();
});

Deno.test("an old daemon says nothing after the peer's end, so everything ends with it", async () => {
  const { session, sender } = setup({ tagged: false });
  const write = sender.write(bytes("x"));
  const ends = outcomes(write);
  sender.remoteEnded();
  assert.deepEqual(await ends, [ENDED_BY_PEER]);
  await session.flush();
  await rejectsWith(sender.write(bytes("y")), "connection_closed");
});

Deno.test("a write that a failed test leaves alone is not reported in place of its assertion", async () => {
  const unhandled: unknown[] = [];
  const note = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", note);
  try {
    await using daemon = new FakeDaemon();
    const { conn, stream, driver } = await dialPair(daemon);
    stream.auto = false;
    void conn.write("x");
    void conn.read();
    await driver.close();
    await turn();
    assert.deepEqual(unhandled, []);
    await rejectsWith(conn.write("y"), "connection_closed");
  } finally {
    globalThis.removeEventListener("unhandledrejection", note);
  }
});
