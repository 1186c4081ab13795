/** Connections to the handshake port that bring nothing whole. */

import assert from "node:assert/strict";
import { MESSAGE_TIMEOUT_MS } from "../../../daemon/trust/handshake_port.ts";
import { Sink } from "../harness/streams.ts";
import { withPair } from "../harness/trust_pair.ts";

Deno.test("a handshake connection ends after its time, however slowly its message comes", () =>
  withPair({ b: { isPublic: true } }, async ({ world, a }) => {
    const dialing = a.net.streams.dial({ network: 0, node: 7 }, 444, { timeoutMs: 5_000 });
    const sink = new Sink(await world.clock.finish(dialing));
    for (const letter of '{"type":"') {
      sink.conn.write(new TextEncoder().encode(letter));
      await world.clock.run((MESSAGE_TIMEOUT_MS - 1_000) / 9);
    }
    assert.equal(sink.hasEnded, false);
    await world.clock.run(1_100); // and the way there and back
    assert.equal(sink.hasEnded, true);
    sink.conn.abort();
  }));
