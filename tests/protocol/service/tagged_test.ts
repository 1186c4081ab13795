import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeTaggedMessage,
  decodeTrace,
  encodeTaggedMessage,
} from "../../../protocol/service/tagged.ts";
import { assertDecodeError, hex } from "../support.ts";

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const id = fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/);

Deno.test("decodeTaggedMessage reads what v1.18 sends", () => {
  // `{"message_id":"0a"}`, TEXT, "hi".
  const payload = hex("00137b226d6573736167655f6964223a223061227d000000016869");
  assert.deepEqual(decodeTaggedMessage(payload), {
    tags: { messageId: "0a" },
    inner: { type: 1, payload: hex("6869") },
  });
});

Deno.test("decodeTaggedMessage gives back what encodeTaggedMessage was given", () => {
  fc.assert(fc.property(
    fc.option(id, { nil: undefined }),
    fc.option(id, { nil: undefined }),
    u32,
    fc.uint8Array({ maxLength: 40 }),
    (messageId, replyTo, type, payload) => {
      const tags = {
        ...(messageId === undefined ? {} : { messageId }),
        ...(replyTo === undefined ? {} : { replyTo }),
      };
      const inner = { type, payload };
      assert.deepEqual(decodeTaggedMessage(encodeTaggedMessage(tags, inner)), { tags, inner });
    },
  ));
});

Deno.test("decodeTaggedMessage refuses ids that are none, headers that are no objects, and what is cut short", () => {
  const tagged = (header: string, rest = "000000016869") => {
    const bytes = new TextEncoder().encode(header);
    return Uint8Array.of(bytes.length >> 8, bytes.length, ...bytes, ...hex(rest));
  };
  for (const bad of ["a b", "é", "x".repeat(129), "../x", "a\\n"]) {
    assertDecodeError(
      decodeTaggedMessage(tagged(JSON.stringify({ message_id: bad }))),
      "malformed",
    );
    assertDecodeError(decodeTaggedMessage(tagged(JSON.stringify({ reply_to: bad }))), "malformed");
  }
  for (
    const header of ["", "[]", "null", "1", "{", '{"message_id":1}', `{"a":"${"x".repeat(1100)}"}`]
  ) {
    assertDecodeError(decodeTaggedMessage(tagged(header)), "malformed");
  }
  const whole = tagged('{"message_id":"a"}', "00000001");
  for (let end = 0; end < whole.length; end++) {
    assertDecodeError(decodeTaggedMessage(whole.subarray(0, end)), "malformed");
  }
  assert.ok("tags" in decodeTaggedMessage(whole));
});

Deno.test("no bytes make decodeTaggedMessage or decodeTrace throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    decodeTaggedMessage(bytes);
    decodeTrace(bytes);
  }));
});

Deno.test("a header has at most 1024 bytes, and an inner frame may be empty", () => {
  const tagged = (headerBytes: number) => {
    const empty = '{"message_id":"a","x":""}';
    const header = empty.replace('""', `"${"x".repeat(headerBytes - empty.length)}"`);
    const text = new TextEncoder().encode(header);
    assert.equal(text.length, headerBytes);
    return Uint8Array.of(headerBytes >> 8, headerBytes & 0xff, ...text, 0, 0, 0, 1);
  };
  assert.deepEqual(decodeTaggedMessage(tagged(1024)), {
    tags: { messageId: "a" },
    inner: { type: 1, payload: new Uint8Array() },
  });
  assertDecodeError(decodeTaggedMessage(tagged(1025)), "malformed");
  assert.deepEqual(decodeTrace(hex("000000010000000000000007")), {
    sent: 7n,
    inner: { type: 1, payload: new Uint8Array() },
  });
  assert.ok("kind" in decodeTrace(hex("0000000100000000000000")));
});
