/**
 * Finding the daemon and greeting it.
 *
 * @module
 */

import type { Advice } from "../protocol/advice.ts";
import type { CommonSocket } from "../platform/common_socket.ts";
import { resolveSettings } from "../platform/settings/mod.ts";
import { PilotError } from "../protocol/errors.ts";
import { checkAbort, type WaitOptions, withDeadline } from "./abort.ts";
import { connectCommon, strangerAt } from "./common_daemon.ts";
import { Driver } from "./driver.ts";
import { Session } from "./daemon_session.ts";
import type { Connector, Transport } from "./transport.ts";
import { connectUnix } from "./transport_deno.ts";

/** Longest wait for the daemon's greeting when the caller sets none, milliseconds. */
const HELLO_TIMEOUT_MS = 10_000;

/** How to reach the daemon. */
export interface ConnectOptions extends WaitOptions {
  /**
   * Path of the daemon's socket. Default: `PILOT_SOCKET`, the config file, `$PILOT_HOME/pilot.sock`, and without a
   * `PILOT_HOME` `~/.pilot/pilot.sock`, then the `common` place.
   */
  socket?: string | undefined;
  /**
   * Where to look when nobody answers at `socket`: a daemon of this user or of root with the key of `identity` counts.
   * Default without `socket`: `$XDG_RUNTIME_DIR/pilot.sock` or `/tmp/pilot.sock`, where other programs' daemons are.
   */
  common?: CommonSocket | undefined;
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
 *
 * @example Asking the daemon for our address
 * ```ts
 * import { connect, formatAddress, PilotError } from "@pilot-protocol/pilot";
 *
 * try {
 *   await using driver = await connect({ name: "my-agent", timeoutMs: 2_000 });
 *   console.log(formatAddress(await driver.address()));
 * } catch (error) {
 *   if (!(error instanceof PilotError) || error.code !== "not_running") throw error;
 *   console.error(`${error.message}. ${error.hint}`);
 * }
 * ```
 */
export async function connect(options: ConnectOptions = {}): Promise<Driver> {
  const { signal, connector = connectUnix } = options;
  checkAbort(signal, "Connecting to the daemon");
  const { socket, common } = placesOf(options);
  const known = { ...options, socket, common };
  try {
    return await open(await connector(socket), known);
  } catch (error) {
    const { code, message } = PilotError.from(error, "io_error");
    if (code !== "not_running" || common === undefined) throw error;
    const driver = await openCommon(common, connector, known, message);
    if (driver === undefined) throw error;
    return driver;
  }
}

function placesOf(options: ConnectOptions): { socket: string; common: CommonSocket | undefined } {
  if (options.socket !== undefined) return { socket: options.socket, common: options.common };
  const { socket, commonSocket } = resolveSettings();
  return { socket, common: options.common ?? commonSocket };
}

async function open(transport: Transport, options: ConnectOptions): Promise<Driver> {
  return await Driver.open(new Session(transport), {
    signal: options.signal,
    timeoutMs: options.timeoutMs ?? HELLO_TIMEOUT_MS,
    name: options.name,
    reopen: ({ signal }) => connect({ ...options, signal }),
  });
}

/** The daemon at the common place; undefined when there is none. `why` says why the home has none. */
async function openCommon(
  common: CommonSocket,
  connector: Connector,
  options: ConnectOptions,
  why: string,
): Promise<Driver | undefined> {
  const advice: Advice = { id: "start_daemon", socket: common.path };
  let transport: Transport | undefined;
  try {
    transport = await connectCommon(common.path, connector);
  } catch (cause) {
    const { message } = PilotError.from(cause, "io_error");
    throw new PilotError("not_running", `${why}, and ${message}`, { advice, cause });
  }
  if (transport === undefined) return undefined;
  const driver = await open(transport, options);
  try {
    const limit = { signal: options.signal, timeoutMs: options.timeoutMs ?? HELLO_TIMEOUT_MS };
    const ask = (signal: AbortSignal) => driver.info({ signal });
    const info = await withDeadline(limit, "Asking the daemon who it is", ask);
    const stranger = await strangerAt(info, common);
    if (stranger === undefined) return driver;
    throw new PilotError("not_running", `${why}, and ${stranger}`, { advice });
  } catch (error) {
    await driver.close();
    throw error;
  }
}
