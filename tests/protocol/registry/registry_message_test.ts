import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { verifySignature } from "../../../protocol/crypto/mod.ts";
import { concatBytes, encodeText } from "../../../protocol/bytes.ts";
import {
  encodeJsonFrame,
  flagField,
  JsonFrameReader,
  numberField,
  objectListField,
  REGISTRY_MAX_FRAME_BYTES,
  registryError,
  textField,
  textListField,
} from "../../../protocol/registry/registry_message.ts";
import { challenges } from "../../rendezvous/support/challenges.ts";
import {
  assertChunking,
  assertDecodeError,
  cutsOf,
  drain,
  hex,
  throwsPilot,
  toHex,
} from "../support.ts";

/** Signs with a raw Ed25519 seed through node:crypto, independent of our own identity code. */
function signWith(seed: Uint8Array, message: Uint8Array): string {
  const der = concatBytes(hex("302e020100300506032b657004220420"), seed);
  const key = createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" });
  return sign(null, message, key).toString("base64");
}

Deno.test("challenges have the signatures of the reference", () => {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
  const key = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
  const vectors: [Uint8Array, string][] = [
    [
      challenges.heartbeat(42),
      "fiCH007IoYeAyMX5ez10k8eNeqLTSxHjGPWeIqRXOilhgevKGAAUWw+cTDVIjGO694RHD6nPfil0vl95sr11Cw==",
    ],
    [
      challenges.resolve(7, 42),
      "S2EcUV6qBuRusMvb0v48g6Jhr2+J71Q/EBdPotHI+6NO+7tx23S2ghs/5XsPxjYJaTbszLtV5MLDwlykXZFoCg==",
    ],
    [
      challenges.joinNetwork(42, 3),
      "fpySi7n7rWGQsftJjyRfhmjZSKXlJI+hZQ9t+A7N/0ko3sGilTOAhycYu0wyqk0GiolIMdX0cv01fG5KVSAvCw==",
    ],
    [
      challenges.invite(42, 3, 43),
      "FtrbIP3IQsH4jrNE5RnRAOGNtlNWAKmfnMdiFbKDePxD00pv2tqfqmEgy7wpFwFDLJMKTC8/U7AYR2Rcts7zDg==",
    ],
    [
      challenges.handshake(42, 43),
      "TjlfhDFtyykaRZch0kYzJ+uN/R01prZ6s1RwlVamUZ/o6YtxqS0+Qb51nXXPHHROMZqYtUMUJ/ydjURTFhcYBQ==",
    ],
    [
      challenges.respondHandshake(42, 43),
      "4SMhR+MHb704+TFtWe3oxuMXkBtz5r4hpk0Aj4RBQ7V7nkvnk0FvyGC/20M4IU4TlS6AZ8myQEzAmD5qO86pDA==",
    ],
    [
      challenges.punch(42, 43),
      "ibkIeV5rvVNg4mXzUqTOHT33+piNroV0yaytAOMVlXrgh4SCX1/YLBeeFo5oWVP6p6zC8vhPVKG7DchnVA6RAw==",
    ],
    [
      challenges.register("1.2.3.4:4000", key),
      "puPbqfy92cLVkXxLxncDApq9MNw3xth56eYVEcCTZUFpeZ5aY52wnRKlDd2/tCqIx4bo/D8JeGNVw6xCiHHpAw==",
    ],
  ];
  for (const [message, signature] of vectors) assert.equal(signWith(seed, message), signature);
});

Deno.test("challenges have the signatures of the daemon's reference", () => {
  const seed = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
  assert.equal(
    signWith(seed, challenges.handshake(5, 7)),
    "eRk5wUJL+3LSfsSq9OD/k053mnn+uZJXHqDRUcabxYSLjzaV9zuHN3MvkVtDkh4Eu0tFRl9zg2UDX98EEw51Bg==",
  );
  assert.equal(
    signWith(seed, challenges.heartbeat(5)),
    "ZJmyMwWfVy4zjhIZAtZM7vvgHoE7omfrxG4/GZeQHHKd9Fz6y0NbnLtb+UEdCAtF7KZsNIUVVFd5WCpvjSQ0DA==",
  );
});

Deno.test("a rotation as v1.18 signs it verifies, captured on the wire", async () => {
  const oldKey = Uint8Array.fromBase64("ZcHfNAL25od8VR2eUGu2hpWdgi1eb7XGQ46vavcOIrU=");
  const newKey = "C1otdLDwNj3b7N3NZ3Ywya31FAKgfRiZ9bcjNqaNNo0=";
  const signature = Uint8Array.fromBase64(
    "YSusxQG8sTvwYrBQFeN1TpjAYUS9A9pqmvaZbhinNNP8aXL51I9pj0ImVzVj62S5BFxcMw0hejIImL2IJkOZCw==",
  );
  assert.ok(await verifySignature(oldKey, challenges.rotateKeyTo(1, newKey), signature));
  assert.ok(!await verifySignature(oldKey, challenges.rotateKey(1), signature));
});

Deno.test("challenges print the strings of the table", () => {
  const strings: [Uint8Array, string][] = [
    [challenges.rotateKey(1), "rotate:1"],
    [challenges.resolveHostname(1, "agent"), "resolve_hostname:1:agent"],
    [challenges.reportTrust(1, 2), "report_trust:1:2"],
    [challenges.revokeTrust(1, 2), "revoke_trust:1:2"],
    [challenges.pollHandshakes(4294967295), "poll_handshakes:4294967295"],
    [challenges.pollInvites(1), "poll_invites:1"],
    [challenges.respondInvite(1, 3), "respond_invite:1:3"],
    [challenges.setVisibility(1), "set_visibility:1"],
    [challenges.setTaskExec(1), "set_task_exec:1"],
    [challenges.setHostname(1), "set_hostname:1"],
    [challenges.setTags(1), "set_tags:1"],
    [challenges.setKeyExpiry(1), "set_key_expiry:1"],
    [challenges.deregister(1), "deregister:1"],
    [challenges.leaveNetwork(1, 3), "leave_network:1:3"],
  ];
  for (const [bytes, text] of strings) assert.equal(toHex(bytes), toHex(encodeText(text)));
});

Deno.test("encodeJsonFrame writes the lookup vector of the reference", () => {
  assert.equal(
    toHex(encodeJsonFrame({ type: "lookup", node_id: 42 })),
    "0000001e" + toHex(encodeText('{"type":"lookup","node_id":42}')),
  );
});

Deno.test("JsonFrameReader gives back what encodeJsonFrame wrote, however it is cut", () => {
  const object = fc.json().map((json) => ({ value: JSON.parse(json) as unknown }));
  fc.assert(
    fc.property(fc.array(object, { maxLength: 4 }), (objects) => {
      const frames = objects.map(encodeJsonFrame);
      const wire = concatBytes(...frames);
      const limit = Math.max(0, ...frames.map((frame) => frame.length));
      const reader = new JsonFrameReader();
      reader.push(wire);
      assert.deepEqual(drain(reader), objects);
      fc.assert(
        fc.property(
          cutsOf(wire.length),
          (cuts) => assertChunking(() => new JsonFrameReader(), wire, cuts, limit),
        ),
        { numRuns: 4 },
      );
    }),
    { numRuns: 50 },
  );
});

Deno.test("JsonFrameReader ends when a body is empty, no JSON, no object or too long", () => {
  const framed = (body: string) => {
    const reader = new JsonFrameReader();
    const bytes = encodeText(body);
    reader.push(concatBytes(new Uint8Array([0, 0, 0, bytes.length]), bytes));
    return reader.next();
  };
  for (const body of ["", "{", "[]", "null", '"type"', "1"]) {
    assertDecodeError(framed(body), "malformed");
  }
  const reader = new JsonFrameReader();
  reader.push(hex("00400001"));
  assertDecodeError(reader.next(), "too_long");
  reader.push(encodeJsonFrame({ type: "lookup" }));
  assertDecodeError(reader.next(), "too_long");
});

Deno.test("JsonFrameReader holds what arrived, not what a length claims", () => {
  const reader = new JsonFrameReader();
  reader.push(hex("0040000061"));
  assert.equal(reader.next(), undefined);
  assert.equal(reader.bufferedBytes, 5);
});

Deno.test("encodeJsonFrame takes 4 MiB and refuses one byte more", () => {
  const frame = (bytes: number) => encodeJsonFrame({ a: "x".repeat(bytes - 8) });
  assert.equal(frame(REGISTRY_MAX_FRAME_BYTES).length, REGISTRY_MAX_FRAME_BYTES + 4);
  throwsPilot(() => frame(REGISTRY_MAX_FRAME_BYTES + 1), "limit_exceeded");
});

Deno.test("numberField reads numbers as the registry does", () => {
  const read = (value: unknown, max?: number) => numberField({ n: value }, "n", max);
  assert.equal(read(42), 42);
  assert.equal(read(42.9), 42);
  assert.equal(read(0xffffffff), 0xffffffff);
  for (const bad of ["42", -1, 0x100000000, null, true, [], {}, Infinity, NaN, undefined]) {
    assert.equal(read(bad), 0);
  }
  assert.equal(read(65536, 65535), 0);
  assert.equal(numberField({}, "constructor"), 0);
});

Deno.test("other field readers give the empty value when a field is missing or wrong", () => {
  assert.equal(textField({ a: "x" }, "a"), "x");
  assert.equal(textField({ a: 1 }, "a"), "");
  assert.equal(textField({}, "toString"), "");
  assert.equal(flagField({ a: true }, "a"), true);
  assert.equal(flagField({ a: "true" }, "a"), false);
  assert.deepEqual(textListField({ a: ["x", 1, "y", null] }, "a"), ["x", "y"]);
  assert.deepEqual(textListField({ a: null }, "a"), []);
  assert.deepEqual(objectListField({ a: [{ b: 1 }, null, [], "x"] }, "a"), [{ b: 1 }]);
  assert.deepEqual(objectListField({ a: {} }, "a"), []);
});

Deno.test("registryError makes the error reply", () => {
  assert.deepEqual(registryError("request failed", "denied"), {
    type: "error",
    error: "request failed",
    code: "denied",
  });
});
