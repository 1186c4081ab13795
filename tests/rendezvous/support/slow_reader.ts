/** A client that asks without end and reads nothing. */

import assert from "node:assert/strict";
import type { Rendezvous } from "../../../rendezvous/mod.ts";
import { jsonFrame, type RawClient } from "./client.ts";
import { pass } from "./server.ts";
import type { ManualClock } from "../../support/manual_clock.ts";

/** How long the server may take to be rid of it, ms of the wall. */
const PATIENCE_MS = 20_000;

/**
 * Asserts that such a client is cut off and that others are served meanwhile.
 *
 * @param parts The server, its clock, the connection that is not read, and what opens another one.
 */
export async function assertSlowReaderIsDropped({ server, clock, slow, open }: {
  readonly server: Rendezvous;
  readonly clock: ManualClock;
  readonly slow: Deno.Conn;
  readonly open: () => Promise<RawClient>;
}): Promise<void> {
  // Its answer repeats the name, so that few of them fill every buffer on the way.
  const hostname = "x".repeat(10_000);
  const frame = jsonFrame(JSON.stringify({ type: "resolve_hostname", hostname }));
  const chunk = new Uint8Array(frame.length * 100);
  for (let i = 0; i < 100; i++) chunk.set(frame, i * frame.length);
  let blocked = false;
  const writing = (async () => {
    try {
      for (;;) await slow.write(chunk);
    } catch {
      blocked = true; // the server has ended the connection: what this waits for
    }
  })();
  const deadline = Date.now() + PATIENCE_MS;
  while (!blocked && Date.now() < deadline) {
    using other = await open();
    await other.ok({ type: "list_networks" });
    await pass(server, clock, 6_000);
  }
  assert.ok(blocked, "the connection is still open");
  await writing;
  slow.close();
}
