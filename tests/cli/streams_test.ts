/** Streams at the command line: nothing is lost unseen, and the end is the one that the other side set. */

import assert from "node:assert/strict";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { CliDriver } from "../../cli/main.ts";
import type { Conn } from "../../mod.ts";
import { at, FakeConn, type FakeDriver, run, runJson } from "./support.ts";

// cspell:ignore halfwhole

const ADDRESS = "0:0000.0000.0007";
/** Longer than the silence that once counted as the end of an answer, milliseconds. */
const PAUSE_MS = 200;
const MANY_BYTES = 17 << 20;

const asConn = (conn: FakeConn) => conn as unknown as Conn;
const pause = () => new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));

/** A driver whose every dial gives this connection. */
function dialling(conn: FakeConn): { driver: FakeDriver } {
  return { driver: { dial: () => Promise.resolve(asConn(conn)) } };
}

/** A driver that accepts these connections and then none. */
function accepting(...conns: FakeConn[]): { driver: FakeDriver } {
  const accept = ({ signal }: { signal?: AbortSignal | undefined } = {}) => {
    const conn = conns.shift();
    if (conn !== undefined) return Promise.resolve(asConn(conn));
    return new Promise<Conn>((_, reject) => {
      const give = () => reject(new PilotError("aborted", "gone"));
      if (signal?.aborted) give();
      else signal?.addEventListener("abort", give);
    });
  };
  const listener = { accept, [Symbol.asyncDispose]: () => Promise.resolve() };
  const listen = () =>
    Promise.resolve(listener as unknown as Awaited<ReturnType<CliDriver["listen"]>>);
  return { driver: { listen } };
}

/** A peer that sends these parts; undefined closes, an error breaks the connection. */
class Sender extends FakeConn {
  #failure: PilotError | undefined;

  constructor(...parts: (string | Uint8Array | PilotError)[]) {
    super();
    for (const part of parts) {
      if (part instanceof PilotError) this.#failure = part;
      else this.push(part);
    }
    this.push(undefined);
  }

  override async read(options: { signal?: AbortSignal | undefined } = {}) {
    const chunk = await super.read(options);
    if (chunk === undefined && this.#failure !== undefined) throw this.#failure;
    return chunk;
  }
}

const reset = () => new PilotError("connection_closed", "Connection reset by the peer");

Deno.test("send and connect take a slow answer until the peer closes", async () => {
  for (
    const args of [["send", "bob", "1000", "--data", "go"], ["connect", "bob", "--message", "go"]]
  ) {
    const conn = new FakeConn(async (_, conn) => {
      for (const part of ["tok0 ", "tok1 ", undefined]) {
        await pause();
        conn.push(part);
      }
    });
    const result = await run(args, dialling(conn));
    assert.equal(result.stdout, "tok0 tok1 ", args[0]);
    assert.equal(result.code, 0, result.stderr);
    assert.ok(conn.closed && !conn.aborted);
  }
});

Deno.test("an answer that stops without an end is shown and is a failure", async () => {
  const half = () => new FakeConn((_, conn) => conn.push("half of"));
  const args = ["send", "bob", "1000", "--data", "go", "--timeout", "20ms"];
  const text = await run(args, dialling(half()));
  assert.equal(text.stdout, "half of");
  assert.equal(text.code, EXIT_CODES.timeout);
  assert.match(text.stderr, /fell silent .* without closing/);
  const json = await runJson(args, dialling(half()));
  assert.equal(at(json.error, "data", "response"), "half of");
  const taken = await runJson([...args, "--end-after", "10ms"], dialling(half()));
  assert.deepEqual(
    taken.data,
    { target: "bob", port: 1000, sent: 2, response: "half of", end: "silence" },
  );
});

Deno.test("an echo is complete when everything came back, although it never closes", async () => {
  const echo = new FakeConn((chunk, conn) => conn.push(chunk));
  const { data } = await runJson(["send", "bob", "7", "--data", "hello"], dialling(echo));
  assert.deepEqual(
    data,
    { target: "bob", port: 7, sent: 5, response: "hello", end: "echoed" },
  );
});

Deno.test("send fails unless everything was delivered", async () => {
  const lost = new FakeConn((_, conn) => conn.push(undefined));
  lost.close = () => Promise.reject(new PilotError("timeout", "3 bytes were not acknowledged"));
  const late = await run(["send", "bob", "1000", "--data", "abc"], dialling(lost));
  assert.equal(late.code, EXIT_CODES.timeout);

  const shut = new FakeConn((_, conn) => conn.push(undefined));
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(1000)),
  });
  const stdin = { isTerminal: false, readable: () => endless };
  const cut = await run(["connect", "bob"], { ...dialling(shut), host: { stdin } });
  assert.equal(cut.code, EXIT_CODES.connection_closed);
  assert.match(cut.stderr, /closed before everything was sent/);
  assert.ok(shut.aborted);
});

Deno.test("send passes on more than a message may hold, and nothing at all", async () => {
  let bytes = 0;
  const chunk = new Uint8Array(1 << 20);
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (bytes < MANY_BYTES) controller.enqueue(chunk);
      else controller.close();
      bytes += chunk.length;
    },
  });
  let got = 0;
  const sink = new FakeConn((part, conn) => {
    got += part.length;
    if (got === MANY_BYTES) conn.push(undefined);
  });
  const host = { stdin: { isTerminal: false, readable: () => source } };
  const sent = await run(["send", "bob", "1000", "--file", "-"], { ...dialling(sink), host });
  assert.equal(sent.code, 0, sent.stderr);
  assert.equal(got, MANY_BYTES);

  const empty = await runJson(
    ["send", "bob", "1000", "--data", "", "--end-after", "1ms"],
    dialling(new FakeConn()),
  );
  assert.equal(at(empty.data, "sent"), 0);
});

Deno.test("recv gives a pipe the bytes as they are, to the end that the sender set", async () => {
  const bytes = new Uint8Array([0xff, 0, 10, 0xfe]);
  const written: Uint8Array[] = [];
  const stdout = {
    isTerminal: false,
    write: (data: string | Uint8Array) => void written.push(Uint8Array.from(data as Uint8Array)),
  };
  const slow = new FakeConn();
  const feeding = (async () => {
    for (const part of [bytes, bytes, new Uint8Array(MANY_BYTES), undefined]) {
      await pause();
      slow.push(part);
    }
  })();
  const { code, stderr } = await run(["recv", "1000"], { ...accepting(slow), host: { stdout } });
  await feeding;
  assert.equal(code, 0, stderr);
  assert.deepEqual(written.slice(0, 2), [bytes, bytes]);
  assert.equal(written.reduce((sum, { length }) => sum + length, 0), 8 + MANY_BYTES);
});

Deno.test("recv shows a terminal lines with their sender, letters whole", async () => {
  const letter = new TextEncoder().encode("é");
  const conn = new Sender("one\ntw", letter.subarray(0, 1), letter.subarray(1), "\u001b[2J");
  const { stdout } = await run(["recv", "1000"], { ...accepting(conn), isTerminal: true });
  assert.equal(stdout, `[${ADDRESS}] one\n  twé?[2J\n`);
  const empty = await run(["recv", "1000"], { ...accepting(new Sender()), isTerminal: true });
  assert.equal(empty.stdout, `[${ADDRESS}] \n`);
});

Deno.test("recv fails when a connection breaks, in text and in JSON, and takes the others", async () => {
  const conns = () => [new Sender("half", reset()), new Sender("whole")];
  const args = ["recv", "1000", "--count", "2"];
  const broken = conns();
  const text = await run(args, accepting(...broken));
  assert.equal(text.stdout, "halfwhole");
  assert.equal(text.code, EXIT_CODES.connection_closed);
  assert.match(text.stderr, /^error: From 0:0000.0000.0007: Connection reset by the peer\nhint: /);
  assert.ok(broken[0]!.aborted);
  const json = await runJson(args, accepting(...conns()));
  assert.equal(json.code, EXIT_CODES.connection_closed);
  assert.deepEqual(at(json.error, "data", "messages"), [
    {
      seq: 0,
      port: 1000,
      from: ADDRESS,
      error: "Connection reset by the peer",
      code: "connection_closed",
    },
    { seq: 1, port: 1000, from: ADDRESS, data: "whole", bytes: 5 },
  ]);
  const lines = await run([...args.slice(0, 2), "--count", "0", "--json", "--timeout", "20ms"], {
    ...accepting(...conns()),
  });
  assert.equal(lines.code, EXIT_CODES.timeout, "no third one came");
  assert.equal(lines.stdout.trim().split("\n").length, 2, "one record per connection");
});

Deno.test("recv collects what it was asked for, and fails with what arrived when there is less", async () => {
  const args = ["recv", "1000", "--count", "2"];
  const both = await runJson(args, accepting(new Sender("first"), new Sender("second")));
  assert.deepEqual(both.data, {
    messages: [
      { seq: 0, port: 1000, from: ADDRESS, data: "first", bytes: 5 },
      { seq: 1, port: 1000, from: ADDRESS, data: "second", bytes: 6 },
    ],
    timeout: false,
  });
  const early = await runJson([...args, "--timeout", "20ms"], accepting(new Sender("first")));
  assert.equal(early.code, EXIT_CODES.timeout);
  assert.equal(at(early.error, "data", "messages", "length"), 1);
  const binary = await runJson(["recv", "1000"], accepting(new Sender(new Uint8Array([0xff]))));
  assert.deepEqual(at(binary.data, "messages", 0), {
    seq: 0,
    port: 1000,
    from: ADDRESS,
    data_b64: "/w==",
    bytes: 1,
  });
});

Deno.test("examples are command lines that can be typed", async () => {
  const { data } = await runJson(["context"]);
  const commands = Object.values(at(data, "commands") as Record<string, { examples: string[] }>);
  const examples = commands.flatMap(({ examples }) => examples);
  assert.ok(examples.length > 50);
  for (const example of examples) {
    for (const call of example.matchAll(/(?:^|\| )pilotctl (\S+)/g)) {
      assert.equal((await run(["help", call[1]!])).code, 0, example);
    }
    assert.match(example, /(?:^|\| )pilotctl /);
  }
});

Deno.test("send --close-write tells the peer the end, and takes the answer that comes then", async () => {
  const conn = new FakeConn();
  conn.onCloseWrite = () => {
    conn.push(`${conn.written.length} read`);
    conn.push(undefined);
  };
  const { code, stdout } = await run(
    ["send", "7", "1000", "--data", "x", "--close-write"],
    dialling(conn),
  );
  assert.deepEqual([code, stdout, conn.writeClosed], [0, "1 read", true]);
  const plain = new FakeConn((_, conn) => conn.push(undefined));
  assert.equal((await run(["send", "7", "1000", "--data", "x"], dialling(plain))).code, 0);
  assert.equal(plain.writeClosed, false, "who does not know half close would answer nothing");
});

Deno.test("send --close-write fails where the end of one direction cannot be told", async () => {
  const conn = new FakeConn();
  conn.closeWrite = () =>
    Promise.reject(new PilotError("unavailable", "the peer knows no half close"));
  const { code, stderr } = await run(
    ["send", "7", "1000", "--data", "x", "--close-write"],
    dialling(conn),
  );
  assert.equal(code, EXIT_CODES.unavailable);
  assert.match(stderr, /no half close/);
  assert.ok(conn.aborted);
});
