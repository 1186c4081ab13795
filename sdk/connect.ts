/**
 * Finding the daemon and greeting it.
 *
 * @module
 */

import { resolveSettings } from "../platform/settings.ts";
import { checkAbort, type WaitOptions } from "./abort.ts";
import { Driver } from "./driver.ts";
import { Session } from "./session.ts";
import type { Connector } from "./transport.ts";
import { connectUnix } from "./transport_deno.ts";

/** Longest wait for the daemon's greeting when the caller sets none, milliseconds. */
const HELLO_TIMEOUT_MS = 10_000;

/** How to reach the daemon. */
export interface ConnectOptions extends WaitOptions {
  /**
   * Path of the daemon's socket. Default: `PILOT_SOCKET`, the config file, `$PILOT_HOME/pilot.sock`,
   * `$XDG_RUNTIME_DIR/pilot.sock`, `/tmp/pilot.sock`, the first of them that applies.
   */
  socket?: string | undefined;
  /** What the program calls itself in the daemon's log. */
  name?: string | undefined;
  /** How to open the socket; default Deno's Unix sockets. */
  connector?: Connector;
}

/**
 * Connects to the local daemon.
 *
 * @param options Socket, signal, `timeoutMs` (default 10 000).
 * @returns The driver.
 * @throws {PilotError} `not_running` when no daemon answers, `denied` when its socket may not be opened, `timeout`
 * when it does not speak, `aborted`.
 */
export async function connect(options: ConnectOptions = {}): Promise<Driver> {
  const { signal, connector = connectUnix } = options;
  const what = "Connecting to the daemon";
  checkAbort(signal, what);
  const path = options.socket ?? resolveSettings().socket;
  const session = new Session(await connector(path));
  return await Driver.open(session, {
    signal,
    timeoutMs: options.timeoutMs ?? HELLO_TIMEOUT_MS,
    name: options.name,
    reopen: ({ signal }) => connect({ ...options, socket: path, signal }),
  });
}
