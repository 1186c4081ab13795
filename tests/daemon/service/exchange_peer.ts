/**
 * A remote peer of the data exchange service, for tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  DataExchangeReader,
  type DataFrame,
  DataType,
  encodeDataFrame,
} from "../../../protocol/service/data_exchange.ts";
import {
  decodeFileStream,
  encodeFileStream,
  FILE_STREAM_CHUNK_BYTES,
  FILE_STREAM_WINDOW_CHUNKS,
  type FileStreamMessage,
} from "../../../protocol/service/file_stream.ts";
import {
  attachDataExchange,
  type DataExchangeOptions,
} from "../../../daemon/service/data_exchange_service.ts";
import { StreamIo } from "../../../daemon/service/stream_io.ts";
import { FakeBackend, PEER } from "../fake_backend.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { systemClock } from "../../../platform/system_clock.ts";

/** A message without its transfer id. */
type Unaddressed<T> = T extends unknown ? Omit<T, "transferId"> : never;

/** The other end of a data exchange connection. */
export class ExchangePeer {
  readonly io: StreamIo;
  readonly #reader = new DataExchangeReader();

  constructor(backend: FakeBackend, remote: typeof PEER = PEER) {
    this.io = new StreamIo(backend.connectFrom(1001, remote)!, systemClock);
  }

  async send(type: number, payload: Uint8Array | string): Promise<void> {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    await this.io.write(encodeDataFrame(type, bytes));
  }

  /** The next frame, or undefined at the end. */
  async next(): Promise<DataFrame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      assert.ok(!(frame instanceof DecodeError));
      if (frame !== undefined) {
        return { type: frame.type, payload: frame.payload.slice() };
      }
      const chunk = await this.io.readChunk();
      if (chunk === undefined) return undefined;
      this.#reader.push(chunk);
    }
  }

  /** The next answer, which must be text. */
  async answer(): Promise<string> {
    const frame = await this.next();
    assert.equal(frame?.type, DataType.text);
    return new TextDecoder().decode(frame.payload);
  }

  async sendStream(
    transferId: Uint8Array,
    message: Unaddressed<FileStreamMessage>,
  ): Promise<void> {
    await this.send(
      DataType.fileStream,
      encodeFileStream({ ...message, transferId } as FileStreamMessage),
    );
  }

  async nextStream(): Promise<FileStreamMessage> {
    const frame = await this.next();
    assert.equal(frame?.type, DataType.fileStream);
    const message = decodeFileStream(frame.payload);
    assert.ok(!(message instanceof DecodeError), String(message));
    return message;
  }

  /** Sends INIT; returns the answer. */
  async init(data: Uint8Array, name: string): Promise<FileStreamMessage> {
    await this.sendStream(idOf(data), {
      kind: "init",
      size: data.length,
      sha256: sha256(data),
      chunkBytes: FILE_STREAM_CHUNK_BYTES,
      name,
    });
    return await this.nextStream();
  }

  /** Sends chunks `from`..`to` with the protocol's window; waits for all acknowledgements. */
  async chunks(
    data: Uint8Array,
    from: number,
    to: number = data.length,
  ): Promise<void> {
    const id = idOf(data);
    const window = FILE_STREAM_CHUNK_BYTES * FILE_STREAM_WINDOW_CHUNKS;
    let sent = from;
    let acked = from;
    while (acked < to) {
      while (sent < to && sent - acked < window) {
        const end = Math.min(sent + FILE_STREAM_CHUNK_BYTES, to);
        await this.sendStream(id, {
          kind: "chunk",
          offset: sent,
          data: data.subarray(sent, end),
        });
        sent = end;
      }
      const ack = await this.nextStream();
      assert.equal(ack.kind, "ack");
      acked = (ack as { offset: number }).offset;
    }
  }

  /** Sends DONE; returns the answer. */
  async done(data: Uint8Array): Promise<FileStreamMessage> {
    await this.sendStream(idOf(data), { kind: "done" });
    return await this.nextStream();
  }
}

export function sha256(data: Uint8Array): Uint8Array {
  return createHash("sha256").update(data).digest();
}

export function idOf(data: Uint8Array): Uint8Array {
  return sha256(data).subarray(0, 16);
}

/** Bytes that differ from place to place, the same for the same seed. */
export function pattern(length: number, seed: number = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** A running service on fresh directories. */
export interface ExchangeRig extends AsyncDisposable {
  backend: FakeBackend;
  clock: ManualClock;
  inboxDir: string;
  receivedDir: string;
  connect(remote?: typeof PEER): ExchangePeer;
  /** The records in the inbox, by name. */
  inbox(): Promise<Record<string, unknown>[]>;
  /** Names in the received directory. */
  received(): Promise<string[]>;
  /** Names of unfinished files. */
  partials(): Promise<string[]>;
  restart(): Promise<void>;
}

export async function startExchange(
  options: Partial<Omit<DataExchangeOptions, "clock">> = {},
): Promise<ExchangeRig> {
  const dir = await Deno.makeTempDir();
  const backend = new FakeBackend();
  const clock = new ManualClock();
  const all = {
    clock,
    inboxDir: join(dir, "inbox"),
    receivedDir: join(dir, "received"),
    ...options,
  };
  let service = attachDataExchange(backend, all);
  return {
    backend,
    clock,
    inboxDir: all.inboxDir,
    receivedDir: all.receivedDir,
    connect: (remote) => new ExchangePeer(backend, remote),
    inbox: async () => {
      const names = await namesIn(all.inboxDir);
      return await Promise.all(
        names.map(async (name) => JSON.parse(await Deno.readTextFile(join(all.inboxDir, name)))),
      );
    },
    received: () => namesIn(all.receivedDir),
    partials: () => namesIn(join(all.receivedDir, ".partial")),
    restart: async () => {
      await service.close();
      service = attachDataExchange(backend, all);
    },
    [Symbol.asyncDispose]: async () => {
      await service.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(dir));
    return entries.filter(({ isFile }) => isFile).map(({ name }) => name)
      .sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
