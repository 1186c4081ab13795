/**
 * The built-in services: one line for each says when it runs and how it is attached to its port.
 *
 * @module
 */

import { join } from "node:path";
import type { DaemonOptions } from "../../platform/settings/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import { INBOX_DIR, RECEIVED_DIR } from "../home.ts";
import type { Backend } from "../ipc/backend.ts";
import { attachDataExchange } from "./data_exchange_service.ts";
import { attachEcho } from "./echo.ts";
import { attachEventStream } from "./event_broker.ts";
import { attachNameserver } from "./nameserver_service.ts";
import type { Service } from "./service_port.ts";

/** What a service may use. */
interface ServiceContext {
  readonly backend: Backend;
  readonly options: DaemonOptions;
  readonly clock: Clock;
}

/** A built-in service. */
interface ServiceKind {
  /** Whether a daemon with these options offers it. */
  isOn(options: DaemonOptions): boolean;
  /** Listens on its port. */
  attach(context: ServiceContext): Service | Promise<Service>;
}

/** All services, in the order in which they are attached. */
const SERVICES: readonly ServiceKind[] = [
  {
    isOn: ({ noEcho }) => !noEcho,
    attach: ({ backend }) => attachEcho(backend),
  },
  {
    isOn: ({ noDataExchange }) => !noDataExchange,
    attach: ({ backend, clock, options: { home } }) =>
      attachDataExchange(backend, {
        clock,
        inboxDir: join(home, INBOX_DIR),
        receivedDir: join(home, RECEIVED_DIR),
      }),
  },
  {
    isOn: ({ noEventStream }) => !noEventStream,
    attach: ({ backend, clock }) => attachEventStream(backend, { clock }),
  },
  {
    isOn: ({ nameserver }) => nameserver,
    attach: ({ backend, clock, options: { home } }) =>
      attachNameserver(backend, { clock, path: join(home, "nameserver.json") }),
  },
];

/**
 * Attaches the services that a daemon is configured to offer.
 *
 * @throws {PilotError} When a service cannot read its files.
 */
export async function attachServices(context: ServiceContext): Promise<Service[]> {
  const running: Service[] = [];
  for (const service of SERVICES) {
    if (service.isOn(context.options)) running.push(await service.attach(context));
  }
  return running;
}
