import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressKey,
  decodeAddress,
  encodeAddress,
  formatAddress,
  formatSocketAddress,
  parseAddress,
  parsePort,
  parseSocketAddress,
} from "../../protocol/address.ts";
import {
  assertDecodeError,
  assertTotal,
  decoded,
  record,
  throwsPilot,
  toHex,
  u16,
  u32,
} from "./support.ts";

const address = record({ network: u16, node: u32 });

Deno.test("formatAddress prints the examples of the reference", () => {
  assert.equal(formatAddress({ network: 0, node: 5 }), "0:0000.0000.0005");
  assert.equal(formatAddress({ network: 2, node: 5 }), "2:0002.0000.0005");
  assert.equal(formatAddress({ network: 10, node: 0x12345678 }), "10:000A.1234.5678");
});

Deno.test("parseAddress gives back what formatAddress printed", () => {
  fc.assert(fc.property(address, (value) => {
    assert.deepEqual(parseAddress(formatAddress(value)), value);
    assert.deepEqual(parseAddress(formatAddress(value).toLowerCase()), value);
  }));
});

Deno.test("parseAddress accepts leading zeros in the decimal network", () => {
  assert.deepEqual(parseAddress("002:0002.0000.0005"), { network: 2, node: 5 });
});

Deno.test("parseAddress refuses texts that are not addresses", () => {
  const bad = [
    "",
    "0",
    "0:",
    ":0000.0000.0005",
    "0:0000.0000",
    "0:0000.0000.0005.0001",
    "0:000.0000.0005",
    "0:00000.0000.0005",
    "0:0000.0000.000g",
    "1:00A3.F291.0004",
    "65536:0000.0000.0005",
    "+0:0000.0000.0005",
    " 0:0000.0000.0005",
    "0:0000.0000.0005 ",
    "-1:ffff.0000.0005",
    "0x1:0001.0000.0005",
  ];
  for (const text of bad) throwsPilot(() => parseAddress(text), "invalid_argument");
});

Deno.test("parseAddress throws only invalid_argument when given any text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    try {
      parseAddress(text);
    } catch (error) {
      throwsPilot(() => {
        throw error;
      }, "invalid_argument");
    }
  }));
});

Deno.test("parseSocketAddress gives back what formatSocketAddress printed", () => {
  fc.assert(fc.property(address, u16, (value, port) => {
    const socket = { ...value, port };
    assert.deepEqual(parseSocketAddress(formatSocketAddress(socket)), socket);
  }));
});

Deno.test("parseSocketAddress refuses a missing half", () => {
  for (
    const text of ["", "7", ":7", "0:0000.0000.0005", "0:0000.0000.0005:", "0:0000.0000.0005:65536"]
  ) {
    throwsPilot(() => parseSocketAddress(text), "invalid_argument");
  }
});

Deno.test("parsePort takes 0 to 65535 in decimal and nothing else", () => {
  assert.equal(parsePort("0"), 0);
  assert.equal(parsePort("65535"), 65535);
  for (const text of ["", "65536", "-1", "1.5", "1e3", "0x10", " 1", "100000"]) {
    throwsPilot(() => parsePort(text), "invalid_argument");
  }
});

Deno.test("decodeAddress gives back what encodeAddress wrote, at any offset", () => {
  fc.assert(fc.property(address, fc.nat({ max: 8 }), (value, offset) => {
    const bytes = new Uint8Array(offset + 6);
    bytes.set(encodeAddress(value), offset);
    assert.deepEqual(decodeAddress(bytes, offset), value);
  }));
  assert.equal(toHex(encodeAddress({ network: 10, node: 0x12345678 })), "000a12345678");
});

Deno.test("decodeAddress returns an error when fewer than 6 bytes are there", () => {
  assertDecodeError(decodeAddress(new Uint8Array(5)), "too_short");
  assertDecodeError(decodeAddress(new Uint8Array(8), 3), "too_short");
  assertDecodeError(decodeAddress(new Uint8Array(8), 99), "too_short");
  assertTotal((bytes) => decodeAddress(bytes), new Uint8Array(6));
});

Deno.test("addressKey differs whenever an address differs", () => {
  fc.assert(fc.property(address, address, (a, b) => {
    const same = a.network === b.network && a.node === b.node;
    assert.equal(addressKey(a.network, a.node) === addressKey(b.network, b.node), same);
  }));
  assert.equal(decoded(decodeAddress(new Uint8Array(6))).node, 0);
});
