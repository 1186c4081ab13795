import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatJoinUri,
  isServerHost,
  type JoinTarget,
  parseJoinUri,
  parseServerHost,
  UNKNOWN_HOST,
} from "../../platform/join_uri.ts";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { isUsablePublicKey } from "../../protocol/crypto/verify_signature.ts";
import { PilotError } from "../../protocol/errors.ts";
import { formatEndpoint } from "../../protocol/ip.ts";

const HEX = "0123456789abcdef".repeat(4);
const KEY_BYTES = new Uint8Array(32).fill(0xfb);
const KEY = encodeBase64(KEY_BYTES);
const WHOLE = `pilot://h.example:9000?beacon=h.example:9001&fingerprint=${HEX}&key=${urlOf(KEY)}`;

function urlOf(key: string): string {
  return key.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

Deno.test("parseJoinUri reads what formatJoinUri writes", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  const host = fc.oneof(
    fc.ipV4().filter((ip) => ip !== "0.0.0.0"),
    fc.constantFrom("::1", "2001:db8::7", "a", "rendezvous.example", "my_host-2"),
  );
  const endpoint = fc.record({ host, port }).map(formatEndpoint);
  const fingerprint = fc.uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  const registryKey = fc.uint8Array({ minLength: 32, maxLength: 32 })
    .filter(isUsablePublicKey).map(encodeBase64);
  const pins = fc.oneof(
    fc.record({ fingerprint, registryKey }),
    fc.record({ fingerprint, registryKey: fc.constant(undefined) }),
    fc.record({ fingerprint: fc.constant(undefined), registryKey }),
  );
  const target = fc.record({ registry: endpoint, beacon: endpoint, pins })
    .map(({ pins, ...places }): JoinTarget => ({ ...places, ...pins }));
  fc.assert(fc.property(target, (target) => {
    const uri = formatJoinUri(target);
    assert.match(uri, /^[A-Za-z0-9:/?=&.\[\]_-]+$/, "safe within single quotes");
    assert.deepEqual(parseJoinUri(uri), target);
    // As a program may have escaped it.
    const [head, query] = uri.split("?");
    const escaped = query!.replace(/beacon=([^&]*)/, (_, at) => `beacon=${encodeURIComponent(at)}`);
    assert.deepEqual(parseJoinUri(`${head}/?${escaped}`), target);
  }));
});

Deno.test("parseJoinUri refuses what is unknown, missing, double or broken, and names it", () => {
  const refuses = (uri: string, message: RegExp) =>
    assert.throws(() => parseJoinUri(uri), { code: "invalid_argument", message }, uri);
  assert.deepEqual(parseJoinUri(WHOLE).registryKey, KEY);
  refuses(WHOLE.replace("pilot:", "https:"), /Not a pilot:\/\/ URI/);
  refuses("", /Not a pilot/);
  refuses(WHOLE.replace("&key=", "&key\n="), /unknown part/);
  refuses("pilot://", /Not a pilot/);
  refuses(WHOLE.replace("?", "/path?"), /Not a pilot/);
  refuses(`${WHOLE}#x`, /Not a pilot/);
  refuses(`${WHOLE}&admin=1`, /unknown part: "admin"/);
  refuses(`${WHOLE}&Key=1`, /unknown part: "Key"/);
  refuses(`${WHOLE}&beacon=x:1`, /beacon twice/);
  refuses(WHOLE.replace(/beacon=[^&]*&/, ""), /names no beacon/);
  refuses(WHOLE.replace(/&fingerprint.*/, ""), /neither fingerprint nor key/);
  refuses(WHOLE.replace(HEX, HEX.slice(1)), /Not a SHA-256 fingerprint/);
  refuses(WHOLE.replace("&key=", "&key=A"), /key of the URI is not/);
  refuses(WHOLE.replace(urlOf(KEY), KEY), /key of the URI is not/);
  refuses(WHOLE.replace(urlOf(KEY), "A".repeat(43)), /key of the URI is not/); // all zero: anybody signs for it
  refuses(WHOLE.replace("h.example:9000", "h.example"), /registry of the URI is not host:port/);
  refuses(WHOLE.replace("h.example:9001", ":9001"), /beacon of the URI is not host:port/);
  refuses(WHOLE.replace("9001", "0"), /beacon of the URI is not host:port/);
  refuses(WHOLE.replace("9000", "99999"), /port|host:port/);
  refuses(WHOLE.replace("h.example:9000", "0.0.0.0:9000"), /invalid host/);
  refuses(
    WHOLE.replace("h.example:9000", "me@h.example:9000"),
    /registry of the URI is not host:port/,
  );
  refuses(WHOLE.replace("h.example:9001", "$(id):9001"), /beacon of the URI is not host:port/);
  refuses(WHOLE.replace("h.example:9001", "%ff:9001"), /beacon of the URI is broken/);
  refuses(WHOLE.replace("h.example:9000", `${UNKNOWN_HOST}:9000`), /still says <HOST>/);
});

Deno.test("parseJoinUri reads any text or refuses it with a reason", () => {
  const mutated = fc.tuple(fc.nat(WHOLE.length), fc.string({ maxLength: 4 }), fc.nat(4))
    .map(([at, text, cut]) => WHOLE.slice(0, at) + text + WHOLE.slice(at + cut));
  fc.assert(fc.property(fc.oneof(fc.string(), mutated), (text) => {
    try {
      const target = parseJoinUri(text);
      assert.deepEqual(parseJoinUri(formatJoinUri(target)), target);
    } catch (error) {
      if (error instanceof PilotError) assert.equal(error.code, "invalid_argument");
      else throw error;
    }
  }));
});

Deno.test("isServerHost takes names and addresses that a client can connect to", () => {
  for (const host of ["a", "a.b-c.example", "192.0.2.1", "::1", "2001:db8::1"]) {
    assert.ok(isServerHost(host), host);
  }
  for (
    const host of ["", "0.0.0.0", "::", "fe80::1%eth0", "a b", "a/b", "-a", "1.2.3", "x\n", "é"]
  ) {
    assert.ok(!isServerHost(host), host);
  }
  assert.equal(parseServerHost("[::1]"), "::1");
  assert.throws(() => parseServerHost("h:9000"), { code: "invalid_argument" });
});
