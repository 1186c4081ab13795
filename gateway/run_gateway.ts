/**
 * The gateway as a process.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { onHangup } from "../platform/hangup.ts";
import { connect, type ConnectOptions } from "../sdk/mod.ts";
import { Gateway } from "./gateway.ts";

/** A peer as it is reached through the gateway. */
export interface GatewayMapping {
  /** The local address that represents it. */
  readonly local_ip: string;
  /** Its own address. */
  readonly pilot_addr: string;
  /** TCP ports that are forwarded. */
  readonly ports: readonly number[];
  /** Those that this user may not listen on. */
  readonly skipped: readonly number[];
}

/** What a gateway that has come up reports to {@linkcode RunGatewayOptions.ready}. */
export interface GatewayReady {
  /** Process id. */
  readonly pid: number;
  /** Subnet of the local addresses, CIDR. */
  readonly subnet: string;
  /** One for each target. */
  readonly mappings: readonly GatewayMapping[];
}

/** How the gateway process is started. */
export interface RunGatewayOptions {
  /** The daemon's socket. */
  socket: string;
  /** Where it may be as well. */
  common?: ConnectOptions["common"];
  /** Subnet of the local addresses, CIDR. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports: readonly number[];
  /** Leave out those that this user may not listen on. */
  skipDenied?: boolean;
  /** Agents to map: address, node number or hostname, optionally `=local-ip`. */
  targets: readonly string[];
  /** Called once when its targets are mapped. */
  ready?: ((ready: GatewayReady) => void) | undefined;
  /** Called with errors of a connection or a port while it runs. */
  onError?: ((error: PilotError) => void) | undefined;
}

/**
 * Runs a gateway in the foreground until SIGINT, SIGTERM or the end of the terminal or the daemon.
 *
 * @param options See {@linkcode RunGatewayOptions}.
 * @returns The exit code: 0, when stopped by a signal.
 * @throws {PilotError} `not_running` without a daemon, `connection_closed` when it went away; as {@linkcode Gateway.map}.
 */
export async function runGateway(options: RunGatewayOptions): Promise<number> {
  const stop = Promise.withResolvers<number>();
  const onSignal = () => stop.resolve(0);
  const signals: Deno.Signal[] = ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  const ignoreHangup = onHangup({ stop: onSignal });
  try {
    await using driver = await connect({ socket: options.socket, common: options.common });
    await using gateway = new Gateway({
      driver,
      subnet: options.subnet,
      ports: options.ports,
      skipDenied: options.skipDenied,
      onError: options.onError,
    });
    for (const text of options.targets) {
      const [target = "", localIp] = text.split("=");
      gateway.map(await driver.resolveTarget(target), localIp);
    }
    options.ready?.({
      pid: Deno.pid,
      subnet: gateway.subnet,
      mappings: gateway.mappings.map(({ localIp, address, ports, skipped }) => ({
        local_ip: localIp,
        pilot_addr: formatAddress(address),
        ports,
        skipped,
      })),
    });
    void driver.closed.then(() =>
      stop.reject(
        new PilotError("connection_closed", "The daemon has stopped, so the gateway stops too", {
          advice: { id: "restart_gateway" },
        }),
      )
    );
    return await stop.promise;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
    ignoreHangup();
  }
}
