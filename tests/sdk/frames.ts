/** Frames of the service protocols as the tests' end of a connection reads and writes them. */

import assert from "node:assert/strict";
import { DecodeError } from "../../protocol/errors.ts";
import {
  DataExchangeReader,
  type DataFrame,
  DataType,
  decodeFileStream,
  encodeDataFrame,
  encodeFileStream,
  EventStreamReader,
  type FileStreamMessage,
  type StreamEvent,
} from "../../protocol/service/mod.ts";
import type { FakeStream } from "./fake_daemon.ts";
import { bytes } from "./support.ts";

/** The agent everything is sent to. */
export const TARGET = { network: 0, node: 5 };

/** Reads frames off the daemon's end of a connection. */
export class FrameSource<T> {
  readonly #stream: FakeStream;
  readonly #reader: {
    push(chunk: Uint8Array): void;
    next(): T | undefined | DecodeError;
  };

  constructor(
    stream: FakeStream,
    reader: {
      push(chunk: Uint8Array): void;
      next(): T | undefined | DecodeError;
    },
  ) {
    this.#stream = stream;
    this.#reader = reader;
  }

  async next(): Promise<T> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame instanceof DecodeError) throw new Error(frame.message);
      if (frame !== undefined) return frame;
      const available = this.#stream.available;
      this.#reader.push(await this.#stream.read(Math.max(1, available)));
    }
  }
}

/** Data exchange frames of a connection. */
export const dataFrames = (stream: FakeStream) =>
  new FrameSource<DataFrame>(stream, new DataExchangeReader());

/** Answers with a line of text. */
export function say(stream: FakeStream, line: string): void {
  stream.write(encodeDataFrame(DataType.text, bytes(line)));
}

/** Sends a file stream message. */
export function tell(stream: FakeStream, message: FileStreamMessage): void {
  stream.write(
    encodeDataFrame(DataType.fileStream, encodeFileStream(message)),
  );
}

/** The next frame, which must be a file stream message. */
export async function streamMessage(
  frames: FrameSource<DataFrame>,
): Promise<FileStreamMessage> {
  const frame = await frames.next();
  assert.equal(frame.type, DataType.fileStream);
  const message = decodeFileStream(frame.payload);
  if (message instanceof DecodeError) throw new Error(message.message);
  return message;
}

/** Events of a connection. */
export const eventFrames = (stream: FakeStream) =>
  new FrameSource<StreamEvent>(stream, new EventStreamReader());
