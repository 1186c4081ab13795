import assert from "node:assert/strict";
import { sourcesOf, withoutStrings } from "../sources.ts";

/** What gives a clock, a timer, randomness, a log or a runtime. */
const FORBIDDEN: readonly RegExp[] = [
  /\bDeno\b/,
  /\b(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bDate\.now\b/,
  /\bnew Date\s*\(\s*\)/,
  /\bMath\.random\b/,
  /\bperformance\b/,
  /\bconsole\b/,
  /\bgetRandomValues\b/,
  /\brandomUUID\b/,
  /\bprocess\b/,
  /\bfetch\s*\(/,
  /\bWebSocket\b/,
];

/** Documented exceptions: `generate()` of identities and key pairs takes WebCrypto's randomness. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  "\\bgetRandomValues\\b": ["protocol/crypto/identity.ts", "protocol/crypto/key_agreement.ts"],
};

const sources = sourcesOf(["protocol"]);

for (const pattern of FORBIDDEN) {
  Deno.test(`the protocol does without ${pattern.source}`, () => {
    const found = sources.filter(({ text }) => pattern.test(withoutStrings(text)))
      .map(({ path }) => path);
    const allowed = EXCEPTIONS[pattern.source] ?? [];
    assert.deepEqual(found.filter((path) => !allowed.includes(path)), []);
  });
}
