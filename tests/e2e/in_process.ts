/**
 * Daemons in the process of a test, with real sockets and a home of their own.
 *
 * @module
 */

import { join } from "node:path";
import { Daemon } from "../../daemon/daemon.ts";
import {
  type DaemonOptions,
  resolveDaemonOptions,
  resolveSettings,
} from "../../platform/settings/mod.ts";
import type { Rendezvous } from "../../rendezvous/mod.ts";

/** Starts a daemon whose home and socket carry its name. */
export async function startDaemon(
  dir: string,
  name: string,
  rendezvous: Rendezvous,
  changes: Partial<DaemonOptions> = {},
): Promise<Daemon> {
  const settings = resolveSettings({
    flags: {
      home: join(dir, name),
      registry: rendezvous.registryAddr,
      beacon: rendezvous.beaconAddr,
      socket: join(dir, `${name}.sock`),
    },
    env: () => undefined,
  });
  const options = resolveDaemonOptions(settings, { listen: "127.0.0.1:0" });
  return await Daemon.start({ ...options, udp: "portable", ...changes });
}
