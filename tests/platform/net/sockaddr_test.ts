import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import fc from "fast-check";
import {
  AddressBook,
  decodeSockaddr,
  encodeSockaddr,
  SOCKADDR_BYTES,
  SOURCE_CACHE_SIZE,
} from "../../../platform/net/linux/sockaddr.ts";
import type { Endpoint } from "../../../protocol/ip.ts";

const v4 = fc.record({ host: fc.ipV4(), port: fc.nat(65535) }, { noNullPrototype: true });
const v6 = fc.record({ host: fc.ipV6(), port: fc.nat(65535) }, { noNullPrototype: true });

function words(endpoint: Endpoint, isV6: boolean): Uint32Array {
  return new Uint32Array(encodeSockaddr(endpoint, isV6)!.bytes.slice().buffer);
}

Deno.test("encodeSockaddr and decodeSockaddr restore any IPv4 endpoint, mapped or not", () => {
  fc.assert(fc.property(v4, fc.boolean(), (endpoint, isV6) => {
    const { bytes, length } = encodeSockaddr(endpoint, isV6)!;
    assert.equal(length, isV6 ? 28 : 16);
    assert.deepEqual(decodeSockaddr(bytes), endpoint);
  }));
});

Deno.test("encodeSockaddr gives an IPv6 endpoint to an IPv6 socket only", () => {
  fc.assert(fc.property(v6, (endpoint) => {
    const decoded = decodeSockaddr(encodeSockaddr(endpoint, true)!.bytes);
    assert.equal(decoded.port, endpoint.port);
    // The text may be another of the same address; its bytes are the same.
    assert.deepEqual(words(decoded, true), words(endpoint, true));
  }));
  assert.equal(encodeSockaddr({ host: "2001:db8::1", port: 1 }, false), undefined);
  for (const host of ["", "localhost", "1.2.3", "fe80::1%no-such-if"]) {
    assert.equal(encodeSockaddr({ host, port: 1 }, true), undefined, host);
  }
});

Deno.test("encodeSockaddr takes the zone of a link-local address, by number or by name of the interface", () => {
  const scope = (host: string) =>
    new DataView(encodeSockaddr({ host, port: 1 }, true)!.bytes.buffer).getUint32(24, true);
  assert.equal(scope("fe80::1%7"), 7);
  assert.equal(scope("fe80::1"), 0);
  const named = Object.entries(networkInterfaces()).flatMap(([name, list = []]) =>
    list.flatMap(({ scopeid }) => scopeid ? [{ name, scopeid }] : [])
  );
  for (const { name, scopeid } of named) assert.equal(scope(`fe80::1%${name}`), scopeid);
});

Deno.test("AddressBook gives the same object for the same source, and never that of another", () => {
  fc.assert(fc.property(fc.array(fc.oneof(v4, v6), { maxLength: 40 }), (endpoints) => {
    const book = new AddressBook(true);
    for (const endpoint of [...endpoints, ...endpoints]) {
      const struct = words(endpoint, true);
      const source = book.source(struct, 0);
      assert.deepEqual(source, decodeSockaddr(new Uint8Array(struct.buffer)));
      assert.equal(book.source(struct, 0), source);
    }
  }));
});

Deno.test("AddressBook stays right when more sources come than it keeps", () => {
  const book = new AddressBook(false);
  for (let i = 0; i < 4 * SOURCE_CACHE_SIZE; i++) {
    const endpoint = { host: `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}`, port: 1 + i % 7 };
    assert.deepEqual(book.source(words(endpoint, false), 0), endpoint);
  }
});

Deno.test("AddressBook ignores what lies behind an IPv4 struct and the flow label of IPv6", () => {
  const book = new AddressBook(false);
  const struct = words({ host: "192.0.2.7", port: 9 }, false);
  const source = book.source(struct, 0);
  struct.fill(0xffffffff, 4);
  assert.equal(book.source(struct, 0), source);
  const dual = new AddressBook(true);
  const long = words({ host: "2001:db8::7", port: 9 }, true);
  const from = dual.source(long, 0);
  long[1] = 0x12345678;
  assert.equal(dual.source(long, 0), from);
});

Deno.test("AddressBook answers a link-local source over the interface it came by", () => {
  const book = new AddressBook(true);
  const struct = words({ host: "fe80::1", port: 9 }, true);
  struct[6] = 3;
  const address = book.destination(book.source(struct, 0))!;
  assert.equal(address.length, SOCKADDR_BYTES);
  assert.equal(new DataView(address.bytes.buffer).getUint32(24, true), 3);
});
