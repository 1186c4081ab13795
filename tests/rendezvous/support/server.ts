/** A rendezvous on free ports with a clock that tests turn. */

import type { Clock } from "../../../rendezvous/server_clock.ts";
import { Rendezvous, type RendezvousOptions } from "../../../rendezvous/mod.ts";
import { RawClient } from "./client.ts";

/** A clock that stands still until it is turned. */
export class TestClock implements Clock {
  #unix = Date.UTC(2026, 0, 1);
  #monotonic = 1_000_000;

  unixMs(): number {
    return this.#unix;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  advance(ms: number): void {
    this.#unix += ms;
    this.#monotonic += ms;
  }
}

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
export async function pass(server: Rendezvous, clock: TestClock, ms: number): Promise<void> {
  clock.advance(ms);
  await server.tick();
  // A turn of the event loop, in which writes that are complete are noticed; then the second look.
  await new Promise<void>((resolve) => setTimeout(resolve));
  await server.tick();
}

/** Runs a test body with a server and one client, and ends both. */
export async function withServer(
  body: (parts: { server: Rendezvous; client: RawClient; clock: TestClock }) => Promise<void>,
  options: Partial<RendezvousOptions> = {},
): Promise<void> {
  const clock = new TestClock();
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
