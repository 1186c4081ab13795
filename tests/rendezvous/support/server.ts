/** A rendezvous on free ports with a clock that tests turn. */

import { Rendezvous, type RendezvousOptions } from "../../../rendezvous/mod.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { RawClient } from "./client.ts";

/** Starts a server on free loopback ports; in memory unless a store is given. */
export function start(options: Partial<RendezvousOptions> = {}): Promise<Rendezvous> {
  return Rendezvous.start({
    registryAddr: "127.0.0.1:0",
    beaconAddr: "127.0.0.1:0",
    store: undefined,
    ...options,
  });
}

/** Lets time pass, in which the server does what it does every second but clients say nothing. */
export async function pass(server: Rendezvous, clock: ManualClock, ms: number): Promise<void> {
  clock.advance(ms);
  await server.tick();
  // A turn of the event loop, in which writes that are complete are noticed; then the second look.
  await new Promise<void>((resolve) => setTimeout(resolve));
  await server.tick();
}

/** Runs a test body with a server and one client, and ends both. */
export async function withServer(
  body: (parts: { server: Rendezvous; client: RawClient; clock: ManualClock }) => Promise<void>,
  options: Partial<RendezvousOptions> = {},
): Promise<void> {
  const clock = new ManualClock();
  await using server = await start({ clock, ...options });
  using client = await RawClient.open(server.registryAddr);
  await body({ server, client, clock });
}

/** A directory that is removed afterwards. */
export async function withDirectory(body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "pilot-rendezvous-" });
  try {
    await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}
