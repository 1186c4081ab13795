/**
 * The built-in services that a daemon is configured to offer.
 *
 * @module
 */

import { join } from "node:path";
import type { DaemonOptions } from "../../platform/settings.ts";
import type { Clock } from "../../platform/clock.ts";
import { INBOX_DIR, RECEIVED_DIR } from "../home.ts";
import type { Backend } from "../ipc/backend.ts";
import { attachDataExchange } from "./data_exchange_service.ts";
import { attachEcho } from "./echo.ts";
import { attachEventStream } from "./event_broker.ts";
import { attachNameserver } from "./nameserver_service.ts";
import type { Service } from "./service_port.ts";

/**
 * Attaches services to their ports.
 *
 * @param backend The daemon.
 * @param options Which ones, and where their files are.
 * @param clock Time.
 * @returns Those that run.
 * @throws {PilotError} When a service cannot read its files.
 */
export async function attachServices(
  backend: Backend,
  options: DaemonOptions,
  clock: Clock,
): Promise<Service[]> {
  const services: Service[] = [];
  if (!options.noEcho) services.push(attachEcho(backend));
  if (!options.noDataExchange) {
    const inboxDir = join(options.home, INBOX_DIR);
    const receivedDir = join(options.home, RECEIVED_DIR);
    services.push(attachDataExchange(backend, { inboxDir, receivedDir }));
  }
  if (!options.noEventStream) services.push(attachEventStream(backend));
  if (options.nameserver) {
    const path = join(options.home, "nameserver.json");
    services.push(await attachNameserver(backend, { clock, path }));
  }
  return services;
}
