/**
 * The rendezvous as a foreground process.
 *
 * @module
 */

import { onHangup } from "../platform/hangup.ts";
import { announce, configureLog, type LogOptions } from "../platform/log.ts";
import { LogFile } from "../platform/log_file.ts";
import { Rendezvous, type RendezvousOptions } from "./rendezvous.ts";

/** How {@linkcode runRendezvous} runs. */
export interface RunRendezvousOptions extends RendezvousOptions {
  /** Print what it says when ready as one JSON object. */
  json: boolean;
  /** Sets the process's log up; undefined leaves it to the caller. */
  log?: LogOptions | undefined;
  /** File for the log, bounded and opened anew at SIGHUP; default stderr. */
  logFile?: string | undefined;
  /** Ends it, as SIGINT and SIGTERM do. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs a rendezvous until SIGINT, SIGTERM or the end of its terminal. Prints to stdout when it answers: one line, and without `json` a second one
 * with the command by which others join, perhaps with a hint below.
 *
 * @param options As for {@linkcode Rendezvous.start}, and the form of the ready line.
 * @returns The exit code, 0 after an orderly end.
 * @throws {PilotError} As {@linkcode Rendezvous.start} and {@linkcode Rendezvous.close}.
 */
export async function runRendezvous(options: RunRendezvousOptions): Promise<number> {
  const logFile = options.logFile === undefined
    ? undefined
    : new LogFile({ path: options.logFile });
  if (options.log !== undefined) {
    const write = logFile && ((line: string) => logFile.write(line.slice(0, -1)));
    configureLog({ ...options.log, write });
  }
  const stopped = Promise.withResolvers<void>();
  const stop = () => stopped.resolve();
  // Before the start, so that a signal during it ends the server in order, too.
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  const ignoreHangup = onHangup({ stop, reopen: logFile && (() => logFile.reopen()) });
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted === true) stop();
  try {
    await using rendezvous = await Rendezvous.start(options);
    for (const line of readyLines(rendezvous, options)) announce(line);
    await stopped.promise;
    await rendezvous.close();
    return 0;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
    ignoreHangup();
  }
}

function readyLines({ facts }: Rendezvous, options: RunRendezvousOptions): string[] {
  const { registry, beacon, http, pid, registryKey, tlsFingerprint, join } = facts;
  const store = facts.store ?? null;
  if (options.json) {
    const data = {
      ...{ registry, beacon, store, pid, http: http ?? null },
      registry_key: registryKey,
      tls_fingerprint: tlsFingerprint ?? null,
      join_uri: join.uri,
      join_hint: join.hint ?? null,
    };
    return [JSON.stringify({ status: "ok", data })];
  }
  const parts = [
    `rendezvous ready: registry ${registry}`,
    `beacon ${beacon}`,
    `store ${store ?? "(memory)"}`,
    ...(http === undefined ? [] : [`http ${http}`]),
    `key ${registryKey}`,
    ...(tlsFingerprint === undefined ? [] : [`tls ${tlsFingerprint}`]),
  ];
  const command = `pilotctl join '${join.uri}'`;
  return [parts.join(", "), command, ...(join.hint === undefined ? [] : [join.hint])];
}
