/**
 * A client that speaks the local socket byte by byte, for tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  Cmd,
  decodeTagged,
  encodeIpcFrame,
  encodeTagged,
  type IpcFrame,
  IpcFrameReader,
} from "../../../protocol/ipc/mod.ts";
import { IpcServer, type IpcServerOptions } from "../../../daemon/ipc/ipc_server.ts";
import { FakeBackend } from "../fake_backend.ts";
import { systemClock } from "../../../platform/system_clock.ts";

/** Turns `00 01 ab` into bytes. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  return Uint8Array.from(
    digits.match(/../g) ?? [],
    (byte) => parseInt(byte, 16),
  );
}

/** Turns bytes into `0001ab`. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

/** UTF-8. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
/** From UTF-8. */
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** One connected client. */
export class RawClient implements Disposable {
  readonly #conn: Deno.UnixConn;
  readonly #reader = new IpcFrameReader();
  readonly #buffer = new Uint8Array(256 * 1024);
  #closed = false;

  constructor(conn: Deno.UnixConn) {
    this.#conn = conn;
  }

  static async connect(path: string): Promise<RawClient> {
    return new RawClient(await Deno.connect({ transport: "unix", path }));
  }

  /** Sends raw bytes. */
  async raw(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      rest = rest.subarray(await this.#conn.write(rest));
    }
  }

  /** Sends a frame. */
  async send(cmd: number, ...parts: Uint8Array[]): Promise<void> {
    await this.raw(encodeIpcFrame(cmd, ...parts));
  }

  /** Sends a tagged frame. */
  async sendTagged(
    id: number,
    cmd: number,
    payload: Uint8Array = new Uint8Array(0),
  ): Promise<void> {
    await this.send(Cmd.Tagged, encodeTagged({ id, cmd, payload }));
  }

  /** The next frame; undefined when the daemon has closed. The payload is a copy. */
  async next(): Promise<IpcFrame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame instanceof DecodeError) throw new Error(frame.message);
      if (frame !== undefined) {
        return { cmd: frame.cmd, payload: frame.payload.slice() };
      }
      let count: number | null;
      try {
        count = await this.#conn.read(this.#buffer);
      } catch (error) {
        // The daemon closed while bytes of ours were still unread by it.
        if (error instanceof Deno.errors.ConnectionReset) return undefined;
        throw error;
      }
      if (count === null) return undefined;
      this.#reader.push(this.#buffer.subarray(0, count));
    }
  }

  /** The next frame, which must have this command. */
  async expect(cmd: number): Promise<Uint8Array> {
    const frame = await this.next();
    assert.ok(frame !== undefined, "the daemon has closed the socket");
    assert.equal(
      frame.cmd,
      cmd,
      `payload ${text(frame.payload.subarray(0, 200))}`,
    );
    return frame.payload;
  }

  /** The next frame must be an error; returns its text. */
  async expectError(): Promise<string> {
    const payload = await this.expect(Cmd.Error);
    assert.equal(toHex(payload.subarray(0, 2)), "0001");
    return text(payload.subarray(2));
  }

  /** The next frame must be the reply to this tag. */
  async expectTagged(
    id: number,
  ): Promise<{ cmd: number; payload: Uint8Array }> {
    const reply = decodeTagged(await this.expect(Cmd.TaggedReply));
    assert.ok(!(reply instanceof DecodeError));
    assert.equal(reply.id, id);
    return reply;
  }

  /** The next frame must be a JSON reply with this command. */
  async expectJson(cmd: number): Promise<Record<string, unknown>> {
    return JSON.parse(text(await this.expect(cmd)));
  }

  /** Collects Recv data of a connection until so many bytes are there. */
  async receive(conn: number, bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes);
    let have = 0;
    while (have < bytes) {
      const payload = await this.expect(Cmd.Recv);
      assert.equal(new DataView(payload.buffer).getUint32(0), conn);
      out.set(payload.subarray(4), have);
      have += payload.length - 4;
    }
    return out;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A server over a fake daemon on a socket in a fresh directory. */
export interface Rig extends AsyncDisposable {
  backend: FakeBackend;
  server: IpcServer;
  dir: string;
  connect(): Promise<RawClient>;
}

/** Starts a server; disposing it checks that nothing is left. */
export async function startRig(
  options: Partial<IpcServerOptions> = {},
): Promise<Rig> {
  const dir = await Deno.makeTempDir();
  const backend = new FakeBackend();
  const path = `${dir}/pilot.sock`;
  const server = await IpcServer.listen({ path, backend, clock: systemClock, ...options });
  const clients: RawClient[] = [];
  return {
    backend,
    server,
    dir,
    connect: async () => {
      const client = await RawClient.connect(path);
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.close();
      await server.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Waits for a condition another party brings about, letting the event loop turn. */
export async function until(
  condition: () => boolean,
  what: string,
): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
