/** Every value the command line converts, at its bounds. */

import assert from "node:assert/strict";
import {
  oneOf,
  parseCount,
  parseEndpointText,
  parseHost,
  parseHostname,
  parseListenPort,
  parseMegabytes,
  parseNetwork,
  parseNode,
  parsePath,
  parsePort,
  parsePositive,
} from "../../cli/parse.ts";
import { DAEMON } from "../../platform/settings/mod.ts";

/** Texts a parser takes, with what each gives, and texts it refuses. */
function check<T>(
  parse: (text: string) => T,
  taken: readonly (readonly [text: string, value: T])[],
  refused: readonly string[],
): void {
  for (const [text, value] of taken) assert.equal(parse(text), value, `"${text}"`);
  for (const text of refused) {
    assert.throws(() => parse(text), { code: "invalid_argument" }, `"${text}"`);
  }
}

/** The same text comes back. */
function same(...texts: readonly string[]): [string, string][] {
  return texts.map((text) => [text, text]);
}

/** Digits that are no decimal number in anybody's eyes but a parser's. */
const NO_DIGITS = ["", " ", "1 ", " 1", "+1", "-1", "1.0", "1e3", "0x10", "1_000", "١", "NaN"];

Deno.test("a port is 0 to 65535, one to wait on 1 to 65535", () => {
  check(parsePort, [["0", 0], ["1", 1], ["65535", 65535]], ["65536", "70000", ...NO_DIGITS]);
  check(parseListenPort, [["1", 1], ["65535", 65535]], ["0", "65536", ...NO_DIGITS]);
});

Deno.test("a count is a whole number that a double holds exactly, a positive one at least 1", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const unsafe = ["9007199254740992", "9007199254740993", "1".repeat(400)];
  check(parseCount, [["0", 0], ["007", 7], [`${most}`, most]], [...unsafe, ...NO_DIGITS]);
  check(parsePositive, [["1", 1], ["2", 2], [`${most}`, most]], ["0", "00", ...unsafe]);
});

Deno.test("a segment size is 1152 to 65437", () => {
  check(
    (text) => DAEMON.mss.type.parse(text),
    [["1152", 1152], ["1153", 1153], ["65436", 65_436], ["65437", 65_437]],
    ["0", "1151", "65438", ...NO_DIGITS],
  );
});

Deno.test("a node is 1 to 2^32-2: 0 is nobody and 2^32-1 everybody", () => {
  check(
    parseNode,
    [["1", 1], ["4294967293", 0xfffffffd], ["4294967294", 0xfffffffe]],
    ["0", "4294967295", "4294967296", "00000000001", "99999999999", ...NO_DIGITS],
  );
});

Deno.test("a network is 0 to 65535", () => {
  check(
    parseNetwork,
    [["0", 0], ["1", 1], ["65534", 65_534], ["65535", 65_535]],
    ["65536", "65537", "99999", "000001", ...NO_DIGITS],
  );
});

Deno.test("a size is above 0 and at most 1 TiB, with fractions", () => {
  check(
    parseMegabytes,
    [["0.001", 0.001], ["0.5", 0.5], ["1", 1], ["1048576", 1_048_576], ["1048576.0", 1_048_576]],
    ["0", "0.0", "1048576.1", "1048577", ".5", "5.", ...NO_DIGITS.filter((text) => text !== "1.0")],
  );
});

Deno.test("an endpoint has a host, in brackets for IPv6, and a port from 1 to 65535", () => {
  check(
    parseEndpointText,
    same("host:1", "127.0.0.1:65535", "[::1]:65535", "[fe80::1%2]:5"),
    ["", ":9", "host:0", "host", "host:", "host:65536", "host:100000", "::1:5", "[::1]", "a b:1"],
  );
  assert.throws(() => parseEndpointText("host"), { hint: /127\.0\.0\.1:9000/ });
});

Deno.test("a host stands without a port and has at most 253 characters", () => {
  check(
    parseHost,
    same("a", "rendezvous.example", "192.0.2.1", "_x-y", "é.example", "a".repeat(253)),
    ["", "a".repeat(254), "-a", ".a", "host:1", "a b", "[::1]"],
  );
});

Deno.test("a hostname is a label with a letter in it", () => {
  check(
    parseHostname,
    same("a", "my-agent", "7a", "a".repeat(63)),
    ["", "7", "42", "a".repeat(64), "-a", "a-", "A", "a_b", "a.b"],
  );
  assert.throws(() => parseHostname(""), { advice: { id: "clear_hostname" } });
  assert.throws(() => parseHostname("42"), /always means node 42/);
});

Deno.test("a path is anything but empty, and one of a few words is one of them", () => {
  check(parsePath, same("/", "a b", "."), [""]);
  check(oneOf("text", "json"), same("text", "json"), ["", "tex", "texts", "TEXT"]);
  assert.throws(() => oneOf("a", "b")("c"), /Must be one of: a, b/);
});
