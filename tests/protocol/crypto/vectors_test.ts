// The vectors of docs/protocol/tunnel.md §11 and docs/protocol/registry.md §11.
import assert from "node:assert/strict";
import { nodeAead } from "../../../protocol/crypto/aead_node.ts";
import { nobleAead } from "../../../protocol/crypto/aead_noble.ts";
import { decodeBase64, encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { Identity } from "../../../protocol/crypto/identity.ts";
import { KeyPair } from "../../../protocol/crypto/key_agreement.ts";
import { NonceSequence } from "../../../protocol/crypto/nonce.ts";
import { verifySignature } from "../../../protocol/crypto/verify_signature.ts";
import { bytes, hex, range } from "../hex.ts";

const A_X25519 = "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";
const B_X25519 = "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466";
const TUNNEL_KEY = "de7a3226508069b9812310619331b4ddfaf0aa3789605d18665b7955417e6eeb";
const SECURE_KEY = "7f705fb6e68459b014e9794a3ecd31613ae12ea35d0c22ea3028e06a5ba3e6dc";
const ascii = (text: string) => new TextEncoder().encode(text);

const identityA = () => Identity.fromSeed(range(0xa0, 32));

Deno.test("KeyPair.fromPrivate makes the public keys of the vectors", async () => {
  const a = await KeyPair.fromPrivate(range(0x01, 32));
  const b = await KeyPair.fromPrivate(range(0x41, 32));
  assert.equal(hex(a.publicKey), A_X25519);
  assert.equal(hex(b.publicKey), B_X25519);
});

Deno.test("KeyPair derives the tunnel and secure keys of the vectors on both sides", async () => {
  const a = await KeyPair.fromPrivate(range(0x01, 32));
  const b = await KeyPair.fromPrivate(range(0x41, 32));
  for (
    const [own, peer] of [[a, b.publicKey], [b, a.publicKey]] as const
  ) {
    assert.equal(hex((await own.deriveTunnelKey(peer))!), TUNNEL_KEY);
    assert.equal(hex((await own.deriveSecureKey(peer))!), SECURE_KEY);
  }
});

Deno.test("Identity.fromSeed makes the public keys of the vectors", async () => {
  const a = await identityA();
  assert.equal(
    hex(a.publicKey),
    "4fd099ccd47d7893dfe9ec24414ecb0d9b5420232aad30d91c465be33cbe65c4",
  );
  assert.equal(
    a.publicKeyBase64,
    "T9CZzNR9eJPf6ewkQU7LDZtUICMqrTDZHEZb4zy+ZcQ=",
  );
  const registry = await Identity.fromSeed(range(0, 32));
  assert.equal(
    registry.publicKeyBase64,
    "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
  );
});

Deno.test("Identity.sign makes the signatures of docs/protocol/trust.md §9", async () => {
  const a = await identityA();
  const cases = [
    [
      "handshake:5:7",
      "eRk5wUJL+3LSfsSq9OD/k053mnn+uZJXHqDRUcabxYSLjzaV9zuHN3MvkVtDkh4Eu0tFRl9zg2UDX98EEw51Bg==",
    ],
    [
      "heartbeat:5",
      "ZJmyMwWfVy4zjhIZAtZM7vvgHoE7omfrxG4/GZeQHHKd9Fz6y0NbnLtb+UEdCAtF7KZsNIUVVFd5WCpvjSQ0DA==",
    ],
  ];
  for (const [text, signature] of cases) {
    assert.equal(encodeBase64(await a.sign(ascii(text!))), signature);
    assert.equal(
      await verifySignature(
        a.publicKey,
        ascii(text!),
        decodeBase64(signature!)!,
      ),
      true,
    );
  }
});

Deno.test("Identity.sign makes the signatures of docs/protocol/registry.md §11", async () => {
  const node = await Identity.fromSeed(range(0, 32));
  const cases = [
    [
      "heartbeat:42",
      "fiCH007IoYeAyMX5ez10k8eNeqLTSxHjGPWeIqRXOilhgevKGAAUWw+cTDVIjGO694RHD6nPfil0vl95sr11Cw==",
    ],
    [
      "resolve:7:42",
      "S2EcUV6qBuRusMvb0v48g6Jhr2+J71Q/EBdPotHI+6NO+7tx23S2ghs/5XsPxjYJaTbszLtV5MLDwlykXZFoCg==",
    ],
    [
      "join_network:42:3",
      "fpySi7n7rWGQsftJjyRfhmjZSKXlJI+hZQ9t+A7N/0ko3sGilTOAhycYu0wyqk0GiolIMdX0cv01fG5KVSAvCw==",
    ],
    [
      "invite:42:3:43",
      "FtrbIP3IQsH4jrNE5RnRAOGNtlNWAKmfnMdiFbKDePxD00pv2tqfqmEgy7wpFwFDLJMKTC8/U7AYR2Rcts7zDg==",
    ],
    [
      "handshake:42:43",
      "TjlfhDFtyykaRZch0kYzJ+uN/R01prZ6s1RwlVamUZ/o6YtxqS0+Qb51nXXPHHROMZqYtUMUJ/ydjURTFhcYBQ==",
    ],
    [
      "respond:42:43",
      "4SMhR+MHb704+TFtWe3oxuMXkBtz5r4hpk0Aj4RBQ7V7nkvnk0FvyGC/20M4IU4TlS6AZ8myQEzAmD5qO86pDA==",
    ],
    [
      "punch:42:43",
      "ibkIeV5rvVNg4mXzUqTOHT33+piNroV0yaytAOMVlXrgh4SCX1/YLBeeFo5oWVP6p6zC8vhPVKG7DchnVA6RAw==",
    ],
    [
      `register:1.2.3.4:4000:${node.publicKeyBase64}`,
      "puPbqfy92cLVkXxLxncDApq9MNw3xth56eYVEcCTZUFpeZ5aY52wnRKlDd2/tCqIx4bo/D8JeGNVw6xCiHHpAw==",
    ],
  ];
  for (const [text, signature] of cases) {
    assert.equal(encodeBase64(await node.sign(ascii(text!))), signature, text);
  }
});

Deno.test("Identity.sign makes the PILA signature of the vectors", async () => {
  const a = await identityA();
  const challenge = bytes(hex(ascii("auth")) + "00000005" + A_X25519);
  assert.equal(challenge.length, 40);
  assert.equal(
    hex(await a.sign(challenge)),
    "25880075df7e72531481d6d5fa8d8cb4de260728634f307b9f61860107697b01" +
      "969140000e9a5dd15abfe3d3d037b7fa7a72a3d9b7a32f6c287b3c737884a205",
  );
});

Deno.test("Identity.sign makes the auth frame signature of the vectors", async () => {
  const a = await identityA();
  const signed = bytes(
    hex(ascii("pilot-secure-auth:")) + "00000005" + A_X25519 +
      "000000006553f100" + hex(range(0, 16)),
  );
  assert.equal(
    hex(await a.sign(signed)),
    "30e96a9ced9c6f6a5f1e30015f68576441028e45b514b969db9cde6c362ec7ce" +
      "d17fb1729fb327bcc1b6b8f79d05f514c64cfcb3b64fad8f1cad4d0388ef460c",
  );
});

Deno.test("seal makes the PILS frame of the vectors", () => {
  const packet = bytes(
    "12010005000000000005000000000007c000000700000001000000010200808cddbc68656c6c6f",
  );
  for (const factory of [nodeAead, nobleAead]) {
    const aead = factory(bytes(TUNNEL_KEY));
    const frame = new Uint8Array(20 + packet.length + 16);
    frame.set(bytes("50494c5300000005"));
    new NonceSequence({ prefix: 0xdeadbeef, counter: 0 }).next(frame, 8);
    frame.set(packet, 20);
    const [aad, nonce] = [frame.subarray(4, 8), frame.subarray(8, 20)];
    aead.seal(nonce, aad, frame, 20, packet.length);
    assert.equal(
      hex(frame),
      "50494c5300000005deadbeef0000000000000001804fd7d99de98f58cd574d5ef3ec45d1" +
        "6a29b1d104e37b3e95f5e4c61d5fbec7aff8746e7945828ec9ec659fe164c500b51d7711" +
        "75fef5",
    );
    assert.equal(aead.open(nonce, aad, frame, 20, packet.length + 16), true);
    assert.deepEqual(frame.slice(20, 20 + packet.length), packet);
  }
});

Deno.test("seal makes the secure channel frames of the vectors", () => {
  const cases = [
    [2, "hi", "0000000200000000000000" + "01d8259f8bf47d9bb73d24279cac94f56aab50"],
    [1, "ok", "0000000100000000000000" + "01d19b6a46af56a83f6ed3f5dc663d9d78e05c"],
  ] as const;
  for (const [prefix, text, expected] of cases) {
    const frame = new Uint8Array(12 + 2 + 16);
    new NonceSequence({ prefix, counter: 0 }).next(frame);
    frame.set(ascii(text), 12);
    nodeAead(bytes(SECURE_KEY))
      .seal(frame.subarray(0, 12), frame.subarray(0, 4), frame, 12, 2);
    assert.equal(hex(frame), expected);
  }
});
