/**
 * A daemon that does only what a test tells it to, behind a real Unix socket.
 *
 * @module
 */

import { join } from "node:path";
import { DecodeError, type PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeConn,
  decodeSend,
  decodeTagged,
  encodeAccept,
  encodeConn,
  encodeHelloOk,
  encodeIpcError,
  encodeIpcFrame,
  encodeJson,
  encodeTag,
  encodeTaggedError,
  IpcFrameReader,
} from "../../protocol/ipc/mod.ts";
import { connect, type ConnectOptions, type Driver } from "../../sdk/mod.ts";

/** A command as the fake daemon got it. */
export interface Received {
  cmd: number;
  payload: Uint8Array;
  /** Id of a tagged request. */
  tag: number | undefined;
}

/** How the fake greets: our daemon, or an older one. */
export type Mode = "tagged" | "untagged";

/** Waits without a clock: polls on each turn of the event loop, which every I/O event is. */
export async function until(what: string, done: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > deadline) throw new Error(`Never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The daemon's side of one client. */
export class FakeClient {
  readonly log: Received[] = [];
  readonly #conn: Deno.UnixConn;
  readonly #waiters: {
    cmd: number;
    resolve(got: Received): void;
    reject(error: Error): void;
  }[] = [];
  readonly #streams = new Map<number, FakeStream>();
  readonly #mode: Mode;
  readonly #features: readonly string[];
  #writing: Promise<unknown> = Promise.resolve();
  readonly done: Promise<void>;
  #gone = false;
  /** While true nothing is read from the client. */
  paused: Promise<void> | undefined;

  constructor(conn: Deno.UnixConn, mode: Mode, features: readonly string[]) {
    this.#conn = conn;
    this.#mode = mode;
    this.#features = features;
    this.done = this.#run();
  }

  /** Takes the oldest unseen command with this number, waiting for it. */
  expect(cmd: number): Promise<Received> {
    const index = this.log.findIndex((got) => got.cmd === cmd);
    if (index >= 0) return Promise.resolve(this.log.splice(index, 1)[0]!);
    if (this.#gone) return Promise.reject(new Error("client has gone"));
    return new Promise((resolve, reject) => this.#waiters.push({ cmd, resolve, reject }));
  }

  /** Sends a frame. */
  push(cmd: number, ...parts: Uint8Array[]): void {
    const frame = encodeIpcFrame(cmd, ...parts);
    this.raw(frame);
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#writing = this.#writing.then(async () => {
      try {
        for (let done = 0; done < bytes.length;) {
          done += await this.#conn.write(bytes.subarray(done));
        }
      } catch {
        // The client has gone; tests that care look at their own side.
      }
    });
  }

  /** Everything pushed has been written. */
  flushed(): Promise<unknown> {
    return this.#writing;
  }

  /** Answers a request. */
  answer(to: Received, cmd: number, ...parts: Uint8Array[]): void {
    if (to.tag === undefined) this.push(cmd, ...parts);
    else this.push(Cmd.TaggedReply, encodeTag(to.tag, cmd), ...parts);
  }

  /** Answers a request with JSON under the next command number. */
  answerJson(to: Received, value: unknown): void {
    this.answer(to, to.cmd + 1, encodeJson(value));
  }

  /** Answers a request with an error. */
  fail(to: Received, error: PilotError): void {
    this.answer(
      to,
      Cmd.Error,
      to.tag === undefined ? encodeIpcError(error.message) : encodeTaggedError(error),
    );
  }

  /** The daemon's end of a connection with this number. */
  stream(id: number): FakeStream {
    const stream = new FakeStream(this, id);
    this.#streams.set(id, stream);
    return stream;
  }

  /** Answers the next dial with a connection. */
  async acceptDial(id: number): Promise<FakeStream> {
    const dial = await this.expect(Cmd.Dial);
    const stream = this.stream(id);
    this.answer(dial, Cmd.DialOk, encodeConn(id));
    return stream;
  }

  /** Pushes an accepted connection. */
  pushAccept(port: number, id: number, node: number): FakeStream {
    const stream = this.stream(id);
    const remote = { network: 0, node };
    this.push(
      Cmd.Accept,
      encodeAccept({ port, conn: id, remote, remotePort: 50_000 }),
    );
    return stream;
  }

  /** Hangs up. */
  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#conn.close();
    for (const { reject } of this.#waiters.splice(0)) {
      reject(new Error("client has gone"));
    }
    for (const stream of this.#streams.values()) stream.onGone();
  }

  async #run(): Promise<void> {
    const reader = new IpcFrameReader();
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        await this.paused;
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        reader.push(buffer.subarray(0, count));
        for (;;) {
          const frame = reader.next();
          if (frame === undefined) break;
          if (frame instanceof DecodeError) throw new Error(frame.message);
          this.#take(frame.cmd, frame.payload.slice());
        }
      }
    } catch {
      // A broken socket is the end, as an orderly one is.
    }
    this.close();
    await this.#writing;
  }

  #take(cmd: number, payload: Uint8Array): void {
    if (cmd === Cmd.Hello) return this.#hello();
    let got: Received = { cmd, payload, tag: undefined };
    if (cmd === Cmd.Tagged) {
      const tagged = decodeTagged(payload);
      if (tagged instanceof DecodeError) throw new Error(tagged.message);
      got = { cmd: tagged.cmd, payload: tagged.payload, tag: tagged.id };
    }
    if (got.cmd === Cmd.Send || got.cmd === Cmd.Close) {
      const id = decodeConn(got.payload);
      const stream = id instanceof DecodeError ? undefined : this.#streams.get(id);
      if (stream !== undefined) return stream.take(got);
    }
    const index = this.#waiters.findIndex((waiter) => waiter.cmd === got.cmd);
    if (index < 0) this.log.push(got);
    else this.#waiters.splice(index, 1)[0]!.resolve(got);
  }

  #hello(): void {
    if (this.#mode === "untagged") {
      return this.push(Cmd.Error, encodeIpcError("unknown command: 0x40"));
    }
    this.push(
      Cmd.HelloOk,
      encodeHelloOk({ daemonVersion: "9.9.9", features: this.#features }),
    );
  }
}

/** The daemon's end of one connection: what the program sent is `received`. */
export class FakeStream {
  readonly id: number;
  readonly #client: FakeClient;
  #received: Uint8Array[] = [];
  #bytes = 0;
  #gone = false;
  #wake: (() => void) | undefined;
  /** Frames of the program that were not answered yet. */
  readonly unanswered: Received[] = [];
  /** Answers each Send at once. */
  auto = true;
  /** Answers Close at once. */
  autoClose = true;
  closes: Received[] = [];
  closed = false;

  constructor(client: FakeClient, id: number) {
    this.#client = client;
    this.id = id;
  }

  /** Bytes the program sent that were not read yet. */
  get available(): number {
    return this.#bytes;
  }

  take(got: Received): void {
    if (got.cmd === Cmd.Close) {
      this.closed = true;
      this.closes.push(got);
      if (this.autoClose) this.answerClose();
    } else {
      const send = decodeSend(got.payload);
      if (send instanceof DecodeError) throw new Error(send.message);
      this.#received.push(send.data);
      this.#bytes += send.data.length;
      if (got.tag !== undefined) {
        this.unanswered.push(got);
        if (this.auto) this.answerSends();
      }
    }
    this.#wake?.();
  }

  /** Takes `count` waiting Sends into the stream. */
  answerSends(count: number = Infinity): void {
    for (const got of this.unanswered.splice(0, count)) {
      this.#client.answer(got, Cmd.Send);
    }
  }

  /** Confirms what closes there are. */
  answerClose(): void {
    for (const got of this.closes.splice(0)) {
      this.#client.answer(got, Cmd.CloseOk, encodeConn(this.id));
    }
  }

  onGone(): void {
    this.#gone = true;
    this.#wake?.();
  }

  /** Reads exactly `count` bytes of what the program sent. */
  async read(count: number): Promise<Uint8Array> {
    const out = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const head = this.#received[0];
      if (head === undefined) {
        if (this.closed || this.#gone) throw new Error("stream is over");
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const part = head.subarray(0, count - filled);
      out.set(part, filled);
      filled += part.length;
      this.#bytes -= part.length;
      if (part.length === head.length) this.#received.shift();
      else this.#received[0] = head.subarray(part.length);
    }
    return out;
  }

  /** Sends data to the program. */
  write(data: Uint8Array): void {
    this.#client.push(Cmd.Recv, encodeConn(this.id), data);
  }

  /** Ends the connection from the remote side. */
  end(error?: PilotError): void {
    this.#client.push(
      Cmd.CloseOk,
      encodeConn(this.id),
      ...(error === undefined ? [] : [encodeTaggedError(error)]),
    );
  }

  /** Waits until the program has closed. */
  async awaitClose(): Promise<void> {
    while (!this.closed && !this.#gone) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** The listening daemon. */
export class FakeDaemon implements AsyncDisposable {
  readonly path: string;
  readonly #dir: string;
  readonly #listener: Deno.UnixListener;
  readonly #clients: FakeClient[] = [];
  readonly #waiters: ((client: FakeClient) => void)[] = [];
  readonly #accepting: Promise<void>;
  readonly #mode: Mode;
  readonly #features: readonly string[];
  readonly #drivers: Driver[] = [];

  constructor(mode: Mode = "tagged", features: readonly string[] = ["tags"]) {
    this.#mode = mode;
    this.#features = features;
    this.#dir = Deno.makeTempDirSync();
    this.path = join(this.#dir, "pilot.sock");
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#accepting = this.#accept();
  }

  /** The next program that connects. */
  nextClient(): Promise<FakeClient> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Connects a driver and gives both ends. */
  async connect(
    options: ConnectOptions = {},
  ): Promise<{ driver: Driver; client: FakeClient }> {
    const client = this.nextClient();
    const driver = await connect({ socket: this.path, ...options });
    this.#drivers.push(driver);
    return { driver, client: await client };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver.close();
    this.#listener.close();
    await this.#accepting;
    for (const client of this.#clients) client.close();
    for (const client of this.#clients) await client.done;
    for (const driver of this.#drivers) await driver.closed;
    await Deno.remove(this.#dir, { recursive: true });
  }

  async #accept(): Promise<void> {
    try {
      for await (const conn of this.#listener) {
        const client = new FakeClient(conn, this.#mode, this.#features);
        this.#clients.push(client);
        this.#waiters.shift()?.(client);
      }
    } catch {
      // Closing the listener ends the loop.
    }
  }
}
