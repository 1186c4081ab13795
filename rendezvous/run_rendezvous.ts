/**
 * The rendezvous as a foreground process.
 *
 * @module
 */

import { onHangup } from "../platform/hangup.ts";
import { configureLog, type LogOptions } from "../platform/log.ts";
import { LogFile } from "../platform/log_file.ts";
import { Rendezvous, type RendezvousOptions } from "./rendezvous.ts";

/** What a rendezvous that has come up reports to {@linkcode RunRendezvousOptions.ready}. */
export interface RendezvousReady {
  /** Where the registry listens, `host:port`. */
  readonly registry: string;
  /** Where the beacon listens, `host:port`. */
  readonly beacon: string;
  /** Directory of the store; null when everything is kept in memory. */
  readonly store: string | null;
  /** Process id. */
  readonly pid: number;
  /** Where health and metrics are served, `host:port`; null when nowhere. */
  readonly http: string | null;
  /** Key that signs its answers, base64. */
  readonly registry_key: string;
  /** SHA-256 of its certificate, hex; null without TLS. */
  readonly tls_fingerprint: string | null;
  /** The `pilot://` URI by which others join. */
  readonly join_uri: string;
  /** What to do before the URI can be used; null when nothing. */
  readonly join_hint: string | null;
}

/** How {@linkcode runRendezvous} runs. */
export interface RunRendezvousOptions extends RendezvousOptions {
  /** Called once when it answers. */
  ready?: ((ready: RendezvousReady) => void) | undefined;
  /** Sets the process's log up; undefined leaves it to the caller. */
  log?: LogOptions | undefined;
  /** File for the log, bounded and reopened at SIGHUP; default stderr. */
  logFile?: string | undefined;
  /** Ends it, as SIGINT and SIGTERM do. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs a rendezvous until SIGINT, SIGTERM or the end of its terminal.
 *
 * @param options As for {@linkcode Rendezvous.start}, and a callback for when it answers.
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
    options.ready?.(readyFacts(rendezvous));
    await stopped.promise;
    await rendezvous.close();
    return 0;
  } finally {
    options.signal?.removeEventListener("abort", stop);
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
    ignoreHangup();
  }
}

/** What is reported when it answers. */
function readyFacts({ facts }: Rendezvous): RendezvousReady {
  const { registry, beacon, http, pid, registryKey, tlsFingerprint, join } = facts;
  return {
    ...{ registry, beacon, store: facts.store ?? null, pid, http: http ?? null },
    registry_key: registryKey,
    tls_fingerprint: tlsFingerprint ?? null,
    join_uri: join.uri,
    join_hint: join.hint ?? null,
  };
}
