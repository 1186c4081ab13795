/** Frames of the local socket: 1 MB in the sizes that programs send and get. */

import assert from "node:assert/strict";
import { Cmd, encodeConn, encodeIpcFrame, IpcFrameReader } from "../../protocol/ipc/mod.ts";

/** Bytes of one benchmark iteration. */
const TOTAL_BYTES = 1 << 20;
/** What one read of the socket gives. */
const READ_BYTES = 128 << 10;

for (const bytes of [1 << 10, 64 << 10, 128 << 10]) {
  const data = new Uint8Array(bytes).fill(7);
  const conn = encodeConn(1);
  const frames = TOTAL_BYTES / bytes;
  const frame = encodeIpcFrame(Cmd.Send, conn, data);
  const wire = new Uint8Array(frame.length * frames);
  for (let i = 0; i < frames; i++) wire.set(frame, i * frame.length);

  Deno.bench(`ipc: encode 1 MB in frames of ${bytes} B`, () => {
    for (let i = 0; i < frames; i++) encodeIpcFrame(Cmd.Send, conn, data);
  });

  Deno.bench(`ipc: read 1 MB in frames of ${bytes} B`, () => {
    const reader = new IpcFrameReader();
    let count = 0;
    for (let at = 0; at < wire.length; at += READ_BYTES) {
      reader.push(wire.subarray(at, at + READ_BYTES));
      while (reader.next() !== undefined) count++;
    }
    assert.equal(count, frames);
  });
}
