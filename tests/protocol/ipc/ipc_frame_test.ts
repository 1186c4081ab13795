import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Cmd,
  encodeIpcFrame,
  IPC_MAX_FRAME_BYTES,
  IpcFrameReader,
} from "../../../protocol/ipc/mod.ts";
import { concatBytes } from "../../../protocol/bytes.ts";
import {
  assertChunking,
  assertDecodeError,
  bytes,
  cutsOf,
  drain,
  hex,
  record,
  throwsPilot,
  toHex,
} from "../support.ts";

const frame = record({ cmd: fc.nat({ max: 255 }), payload: bytes });

Deno.test("encodeIpcFrame writes length, command and parts", () => {
  assert.equal(toHex(encodeIpcFrame(Cmd.Bind, hex("03e8"))), "000000030103e8");
  assert.equal(toHex(encodeIpcFrame(Cmd.Info)), "000000010d");
  assert.equal(
    toHex(encodeIpcFrame(Cmd.Send, hex("00000007"), hex("6869"))),
    "0000000706000000076869",
  );
});

Deno.test("IpcFrameReader gives back what encodeIpcFrame wrote, however it is cut", () => {
  fc.assert(fc.property(fc.array(frame, { maxLength: 6 }), fc.context(), (frames, context) => {
    const wire = concatBytes(...frames.map((f) => encodeIpcFrame(f.cmd, f.payload)));
    context.log(toHex(wire));
    const reader = new IpcFrameReader();
    reader.push(wire);
    assert.deepEqual(drain(reader), frames);
    fc.assert(
      fc.property(
        cutsOf(wire.length),
        (cuts) => assertChunking(() => new IpcFrameReader(), wire, cuts, 70),
      ),
      { numRuns: 5 },
    );
  }));
});

Deno.test("IpcFrameReader skips frames of length 0", () => {
  const reader = new IpcFrameReader();
  reader.push(concatBytes(new Uint8Array(400), encodeIpcFrame(Cmd.Info), new Uint8Array(4)));
  assert.deepEqual(drain(reader), [{ cmd: Cmd.Info, payload: new Uint8Array(0) }]);
  assert.equal(reader.bufferedBytes, 0);
});

Deno.test("IpcFrameReader gives a view when the frame lies in one chunk", () => {
  const wire = encodeIpcFrame(Cmd.Send, hex("0000000768656c6c6f"));
  const reader = new IpcFrameReader();
  reader.push(wire);
  const result = reader.next();
  assert.ok(result !== undefined && "payload" in result);
  assert.equal(result.payload.buffer, wire.buffer);
});

Deno.test("IpcFrameReader takes 1 MiB and ends for good at one byte more", () => {
  const largest = encodeIpcFrame(Cmd.Send, new Uint8Array(IPC_MAX_FRAME_BYTES - 1));
  const reader = new IpcFrameReader();
  for (let i = 0; i < largest.length; i += 65536) {
    reader.push(largest.subarray(i, i + 65536));
    if (i + 65536 < largest.length) assert.equal(reader.next(), undefined);
  }
  const result = reader.next();
  assert.ok(result !== undefined && "payload" in result);
  assert.equal(result.payload.length, IPC_MAX_FRAME_BYTES - 1);

  reader.push(hex("00100001"));
  assertDecodeError(reader.next(), "too_long");
  reader.push(encodeIpcFrame(Cmd.Info));
  assertDecodeError(reader.next(), "too_long");
  assert.equal(reader.bufferedBytes, 0);
});

Deno.test("encodeIpcFrame refuses more than 1 MiB", () => {
  throwsPilot(
    () => encodeIpcFrame(Cmd.Send, new Uint8Array(IPC_MAX_FRAME_BYTES)),
    "invalid_argument",
  );
});

Deno.test("IpcFrameReader neither throws nor keeps more than a frame when fed noise", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
    // A first byte of 0 makes lengths that pass the limit likely.
    const wire = concatBytes(hex("0000"), noise);
    assertChunking(() => new IpcFrameReader(), wire, wire.length > 1 ? [1] : [], wire.length);
  }));
});
