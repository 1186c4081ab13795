import assert from "node:assert/strict";
import fc from "fast-check";
import { DecodeError, PilotError } from "../../../protocol/errors.ts";
import * as ipc from "../../../protocol/ipc/mod.ts";
import {
  assertDecodeError,
  assertTotal,
  bytes,
  decoded,
  hex,
  record,
  toHex,
  u16,
  u32,
} from "../support.ts";

const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const address = record({ network: u16, node: u32 });

/** Checks that decode undoes encode for any value, and is total around some encoded values. */
function pair<T>(
  arbitrary: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (payload: Uint8Array) => T | DecodeError,
): void {
  fc.assert(fc.property(arbitrary, (value) => {
    assert.deepEqual(decode(encode(value)), value);
  }));
  assertTotal(decode, ...fc.sample(arbitrary, { numRuns: 4, seed: 7 }).map(encode));
}

Deno.test("payload codecs of the common commands are inverse and total", () => {
  pair(u16, ipc.encodePort, ipc.decodePort);
  pair(record({ address, port: u16 }), ipc.encodeDial, ipc.decodeDial);
  pair(u32, ipc.encodeConn, ipc.decodeConn);
  pair(
    record({ port: u16, conn: u32, remote: address, remotePort: u16 }),
    ipc.encodeAccept,
    ipc.decodeAccept,
  );
  pair(record({ conn: u32, data: bytes }), ipc.encodeSend, ipc.decodeSend);
  pair(record({ address, port: u16, data: bytes }), ipc.encodeSendTo, ipc.decodeSendTo);
  pair(
    record({ source: address, sourcePort: u16, port: u16, data: bytes }),
    ipc.encodeRecvFrom,
    ipc.decodeRecvFrom,
  );
  pair(
    record({ code: u16, message: text }),
    (value) => ipc.encodeIpcError(value.message, value.code),
    ipc.decodeIpcError,
  );
  pair(
    record({ network: u16, port: u16, token: text, data: bytes }),
    ipc.encodeBroadcast,
    ipc.decodeBroadcast,
  );
});

Deno.test("payload codecs of the extensions are inverse and total", () => {
  pair(
    fc.oneof(
      record({ version: fc.nat({ max: 255 }), name: text }),
      record({ version: fc.constant(1) }),
    ),
    ipc.encodeHello,
    ipc.decodeHello,
  );
  pair(
    record({ version: fc.nat({ max: 255 }), daemonVersion: text, features: fc.array(text) }),
    ipc.encodeHelloOk,
    ipc.decodeHelloOk,
  );
  pair(
    record({ id: u32, cmd: fc.nat({ max: 255 }), payload: bytes }),
    ipc.encodeTagged,
    ipc.decodeTagged,
  );
  pair(record({ conn: u32, bytes: u32 }), ipc.encodeRecvCredit, ipc.decodeRecvCredit);
  pair(
    record({
      subscription: u32,
      event: record({
        id: u32,
        name: fc.constant("trust.revoked" as const),
        atMs: u32,
        data: record({ peer_node_id: u32 }),
      }),
    }),
    ipc.encodeEventPush,
    ipc.decodeEventPush,
  );
  pair(record({ subscription: u32, count: u32 }), ipc.encodeEventsMissed, ipc.decodeEventsMissed);
  pair(u32, ipc.encodeCancelTag, ipc.decodeCancelTag);
});

Deno.test("payloads have the layout of the reference", () => {
  const peer = { network: 2, node: 0x01020304 };
  assert.equal(toHex(ipc.encodeDial({ address: peer, port: 7 })), "0002010203040007");
  assert.equal(
    toHex(ipc.encodeAccept({ port: 1000, conn: 9, remote: peer, remotePort: 49152 })),
    "03e800000009000201020304c000",
  );
  assert.equal(
    toHex(ipc.encodeRecvFrom({ source: peer, sourcePort: 5, port: 6, data: hex("ff") })),
    "00020102030400050006ff",
  );
  assert.equal(toHex(ipc.encodeIpcError("no")), "00016e6f");
  assert.equal(toHex(ipc.encodeTag(1, ipc.Cmd.Dial)), "0000000103");
});

Deno.test("decoders of short payloads say what is missing in the words of the reference", () => {
  const message = (result: unknown) => {
    assert.ok(result instanceof DecodeError);
    return result.message;
  };
  const empty = new Uint8Array(0);
  assert.equal(message(ipc.decodePort(empty)), "bind: missing port");
  assert.equal(message(ipc.decodeDial(empty)), "dial: missing address/port");
  assert.equal(message(ipc.decodeSend(empty)), "send: missing conn_id");
  assert.equal(message(ipc.decodeConn(empty)), "close: missing conn_id");
  assert.equal(message(ipc.decodeSendTo(empty)), "sendto: missing address/port");
});

Deno.test("decodeTaggedError gives back code, message, hint and advice", () => {
  const error = decoded(ipc.decodeTaggedError(ipc.encodeTaggedError(
    new PilotError("untrusted", "No trust", { hint: "Shake hands first." }),
  )));
  assert.deepEqual([error.code, error.message, error.hint], [
    "untrusted",
    "No trust",
    "Shake hands first.",
  ]);
  const advised = decoded(ipc.decodeTaggedError(ipc.encodeTaggedError(
    new PilotError("untrusted", "No trust", { advice: { id: "ask_trust", node: 7 } }),
  )));
  assert.deepEqual([advised.hint, advised.advice], [undefined, { id: "ask_trust", node: 7 }]);
  const plain = decoded(
    ipc.decodeTaggedError(ipc.encodeTaggedError(new PilotError("timeout", "x"))),
  );
  assert.deepEqual([plain.code, plain.hint], ["timeout", undefined]);
});

Deno.test("decodeTaggedError reads unknown codes as internal and refuses other JSON", () => {
  for (const code of ["toString", "__proto__", "new_code", 5]) {
    const error = decoded(ipc.decodeTaggedError(ipc.encodeJson({ code, message: "x" })));
    assert.equal(error.code, "internal");
  }
  assertDecodeError(ipc.decodeTaggedError(ipc.encodeJson([])), "malformed");
  assertDecodeError(ipc.decodeTaggedError(hex("7b")), "malformed");
});

Deno.test("decodeHello and decodeHelloOk ignore unknown and wrong keys", () => {
  const json = ipc.encodeText('{"name":5,"version":7,"features":["a",1,"b"],"extra":{}}');
  const payload = new Uint8Array([2, ...json]);
  assert.deepEqual(ipc.decodeHello(payload), { version: 2, features: ["a", "b"] });
  assert.deepEqual(ipc.decodeHelloOk(payload), {
    version: 2,
    daemonVersion: "",
    features: ["a", "b"],
  });
  assert.deepEqual(ipc.decodeHello(hex("01")), { version: 1 });
  assertDecodeError(ipc.decodeHello(new Uint8Array(0)), "too_short");
  assertDecodeError(ipc.decodeHello(hex("015b5d")), "malformed");
});

Deno.test("Cmd has no number twice", () => {
  const numbers = Object.values(ipc.Cmd);
  assert.equal(new Set(numbers).size, numbers.length);
});
