import assert from "node:assert/strict";
import { sourcesOf, withoutStrings } from "../sources.ts";

/**
 * What gives the machine's own time: parts of daemon and rendezvous have it from the clock that they are given, so that
 * tests can turn it. (What the protocol does without is in `sans_io_test.ts`.)
 */
const FORBIDDEN =
  /\b(?:Date\.now|performance\.now|AbortSignal\.timeout|set(?:Guarded)?(?:Timeout|Interval)|(?:system|turn|plain)Clock)\b|\bnew Date\(\)/;

/** Who may, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "daemon/crypto/choose.ts": "measures how fast ciphers are here",
  "daemon/daemon.ts": "the daemon's clock unless it is given another",
  "rendezvous/mod.ts": "programs may give it to a rendezvous",
  "rendezvous/registry/handshake_turns.ts": "a turn of the event loop, not a time",
  "rendezvous/registry/import/import.ts": "a command of its own",
  "rendezvous/registry/parse_turns.ts": "a turn of the event loop, not a time",
  "rendezvous/registry/registry_session.ts": "a turn of the event loop, not a time",
  "rendezvous/rendezvous.ts": "the server's clock unless it is given another",
  "rendezvous/status.ts": "a command of its own",
};

Deno.test("daemon and rendezvous take the time from the clock that they are given", () => {
  const found = sourcesOf(["daemon", "rendezvous"])
    .filter(({ text }) => FORBIDDEN.test(withoutStrings(text)))
    .map(({ path }) => path);
  assert.deepEqual(found, Object.keys(EXCEPTIONS));
});

Deno.test("every way to the machine's time is found", () => {
  for (
    const text of [
      ...["Date.now()", "performance.now()", "setTimeout(f, 1)", "setInterval(f, 1)"],
      ...["setGuardedTimeout(f, 1)", "AbortSignal.timeout(1)", "new Date()", "systemClock.now()"],
      ...["unixNow: Date.now,", "plainClock.after(1, f)"],
    ]
  ) assert.match(text, FORBIDDEN);
  for (const text of ["clock.now()", "new Date(0)", "clearTimeout(t)", "resetTimeout(1)"]) {
    assert.doesNotMatch(text, FORBIDDEN);
  }
});
