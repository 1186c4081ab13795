import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatEndpoint,
  formatIp,
  isLoopbackIp,
  isPrivateIp,
  isUnicastIp,
  parseEndpoint,
  parseIp,
  reduceIp,
} from "../../protocol/ip.ts";
import { hex, throwsPilot, toHex, u16 } from "./support.ts";

// cspell:ignore bücher

const V6_TEXTS: [string, string][] = [
  ["00000000000000000000000000000000", "::"],
  ["00000000000000000000000000000001", "::1"],
  ["20010db8000000000000000000000001", "2001:db8::1"],
  ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
  ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
  ["fe800000000000000000000000000000", "fe80::"],
  ["00010002000300040005000600070008", "1:2:3:4:5:6:7:8"],
];

Deno.test("formatIp writes IPv6 as RFC 5952 wants it and parseIp reads it back", () => {
  for (const [bytes, text] of V6_TEXTS) {
    assert.equal(formatIp(hex(bytes)), text);
    assert.equal(toHex(parseIp(text)), bytes);
  }
});

Deno.test("formatIp agrees with the URL parser on any IPv6 address", () => {
  const groups = fc.array(fc.oneof(fc.constant(0), u16), { minLength: 8, maxLength: 8 });
  fc.assert(fc.property(groups, (values) => {
    const ip = new Uint8Array(values.flatMap((value) => [value >> 8, value & 255]));
    fc.pre(reduceIp(ip).length === 16);
    const text = values.map((value) => value.toString(16)).join(":");
    assert.equal(`[${formatIp(ip)}]`, new URL(`http://[${text}]`).hostname);
    assert.deepEqual(parseIp(text), ip);
  }));
});

Deno.test("parseIp gives back what formatIp wrote, IPv4-mapped reduced to 4 bytes", () => {
  const ip = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(fc.property(ip, (value) => {
    assert.deepEqual(parseIp(formatIp(value)), Uint8Array.from(reduceIp(value)));
  }));
  assert.equal(toHex(parseIp("::ffff:192.0.2.1")), "c0000201");
  assert.equal(toHex(parseIp("::ffff:c000:201")), "c0000201");
  assert.equal(toHex(parseIp("64:ff9b::192.0.2.1")), "0064ff9b0000000000000000c0000201");
  assert.equal(formatIp(hex("00000000000000000000ffffc0000201")), "192.0.2.1");
});

Deno.test("parseIp refuses what is not an address", () => {
  for (
    const text of [
      "",
      "1.2.3",
      "1.2.3.256",
      "01.2.3.4",
      "::g",
      "1::2::3",
      "fe80::1%eth0",
      "[::1]",
      "localhost",
    ]
  ) {
    throwsPilot(() => parseIp(text), "invalid_argument");
  }
  throwsPilot(() => formatIp(new Uint8Array(5)), "invalid_argument");
});

Deno.test("isUnicastIp knows the addresses of one host from all others", () => {
  const one = ["1.0.0.0", "10.0.0.1", "127.0.0.1", "223.255.255.255", "::1", "fe80::1", "fd00::1"];
  one.push("2001:db8::1", "100::", "::ffff:192.0.2.1");
  const many = ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1"];
  many.push("255.255.255.255", "::", "ff02::1", "ff05::1:3", "::ffff:224.0.0.1", "::ffff:0.0.0.0");
  for (const text of one) assert.ok(isUnicastIp(parseIp(text)), text);
  for (const text of many) assert.ok(!isUnicastIp(parseIp(text)), text);
  // As a datagram has it: not reduced.
  assert.ok(!isUnicastIp(hex("00000000000000000000ffffe0000001")));
  assert.ok(isUnicastIp(hex("00000000000000000000ffffc0000201")));
  assert.ok(!isUnicastIp(new Uint8Array(0)));
  assert.ok(!isUnicastIp(new Uint8Array(5).fill(9)));
});

Deno.test("isPrivateIp and isLoopbackIp know the special ranges", () => {
  const local = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "fd00::1",
    "fe80::1",
    "::",
  ];
  const open = [
    "8.8.8.8",
    "172.32.0.1",
    "192.169.0.1",
    "100.128.0.1",
    "2001:db8::1",
    "fec0::1",
    "203.0.113.5",
  ];
  const loopback = ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"];
  for (const text of local) {
    assert.deepEqual(
      [isPrivateIp(parseIp(text)), isLoopbackIp(parseIp(text))],
      [true, false],
      text,
    );
  }
  for (const text of open) {
    assert.deepEqual(
      [isPrivateIp(parseIp(text)), isLoopbackIp(parseIp(text))],
      [false, false],
      text,
    );
  }
  for (const text of loopback) {
    assert.deepEqual([isPrivateIp(parseIp(text)), isLoopbackIp(parseIp(text))], [true, true], text);
  }
  assert.equal(isPrivateIp(hex("00000000000000000000ffff0a000001")), true);
  assert.equal(isPrivateIp(new Uint8Array(3)), false);
});

Deno.test("parseEndpoint gives back what formatEndpoint wrote", () => {
  const ends: [string, { host: string; port: number }][] = [
    ["127.0.0.1:9000", { host: "127.0.0.1", port: 9000 }],
    ["[2001:db8::1]:9001", { host: "2001:db8::1", port: 9001 }],
    ["registry.example.org:1", { host: "registry.example.org", port: 1 }],
    ["[fe80::1%eth0]:9", { host: "fe80::1%eth0", port: 9 }],
    ["bücher_1.local:65535", { host: "bücher_1.local", port: 65_535 }],
  ];
  for (const [text, endpoint] of ends) {
    assert.deepEqual(parseEndpoint(text), endpoint);
    assert.equal(formatEndpoint(endpoint), text);
  }
  assert.equal(formatEndpoint({ ip: hex("cb007105"), port: 4000 }), "203.0.113.5:4000");
  assert.equal(formatEndpoint({ ip: parseIp("::1"), port: 4000 }), "[::1]:4000");
  assert.deepEqual(parseEndpoint(":4000", { isListen: true }), { host: "", port: 4000 });
  assert.deepEqual(parseEndpoint("[::]:0", { isListen: true }), { host: "::", port: 0 });
});

Deno.test("parseEndpoint refuses what is not an endpoint", () => {
  for (const text of ["", "host", "[::1", ":x", "h:70000"]) {
    throwsPilot(() => parseEndpoint(text, { isListen: true }), "invalid_argument");
  }
  for (
    const text of [
      "",
      "host",
      "host:",
      ":9000",
      "::1:9000",
      "[::1]",
      "[host]:1",
      "h:65536",
      "h:-1",
      "a b:1",
      "[zz]:5",
      "[ ]:5",
      "ho/st:5",
      "ho@st:5",
      "-h:5",
      "h:0",
      `${"a".repeat(254)}:5`,
      "[::1]9000",
    ]
  ) {
    throwsPilot(() => parseEndpoint(text), "invalid_argument");
  }
});
