/**
 * The rendezvous as a foreground process.
 *
 * @module
 */

import process from "node:process";
import { Rendezvous, type RendezvousOptions } from "./rendezvous.ts";

/** How {@linkcode runRendezvous} runs. */
export interface RunRendezvousOptions extends RendezvousOptions {
  /** Print the ready line as one JSON object. */
  json: boolean;
  /** Ends it, as SIGINT and SIGTERM do. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs a rendezvous until SIGINT or SIGTERM. Prints one line to stdout when it answers.
 *
 * @param options As for {@linkcode Rendezvous.start}, and the form of the ready line.
 * @returns The exit code, 0 after an orderly end.
 * @throws {PilotError} As {@linkcode Rendezvous.start} and {@linkcode Rendezvous.close}.
 */
export async function runRendezvous(options: RunRendezvousOptions): Promise<number> {
  const stopped = Promise.withResolvers<void>();
  const stop = () => stopped.resolve();
  // Before the start, so that a signal during it ends the server in order, too.
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted === true) stop();
  try {
    await using rendezvous = await Rendezvous.start(options);
    console.log(readyLine(rendezvous, options));
    await stopped.promise;
    await rendezvous.close();
    return 0;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

function readyLine(rendezvous: Rendezvous, options: RunRendezvousOptions): string {
  const { registryAddr: registry, beaconAddr: beacon } = rendezvous;
  if (options.json) {
    const data = { registry, beacon, store: options.store ?? null, pid: process.pid };
    return JSON.stringify({ status: "ok", data });
  }
  return `rendezvous ready: registry ${registry}, beacon ${beacon}, store ${
    options.store ?? "(memory)"
  }`;
}
