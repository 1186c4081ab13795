/**
 * Many daemons in one process, all trusted by and connected to one other: peers for `idle`. Started as
 * `idle_peers.ts CONFIG`; ready when all are connected, ends with its stdin.
 *
 * @module
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "../../../mod.ts";
import { Daemon } from "../../../daemon/daemon.ts";
import { resolveDaemonOptions, resolveSettings } from "../../../platform/settings/mod.ts";

/** What to do. */
export interface IdlePeersConfig {
  /** How many. */
  readonly count: number;
  /** An empty directory. */
  readonly directory: string;
  /** Registry and beacon. */
  readonly registry: string;
  readonly beacon: string;
  /** The node to connect to; it approves everybody. */
  readonly target: string;
}

/** Daemons that get connected at a time: each makes some round trips, and the registry limits new nodes a second. */
const AT_A_TIME = 10;
const POLL_MS = 20;

async function startPeer(config: IdlePeersConfig, index: number): Promise<void> {
  const home = join(config.directory, `${index}`);
  await mkdir(home, { mode: 0o700 });
  const { registry, beacon, target } = config;
  const settings = resolveSettings({ flags: { home, registry, beacon }, env: () => undefined });
  const daemon = await Daemon.start(
    resolveDaemonOptions(settings, {
      listen: "127.0.0.1:0",
      logLevel: "error",
      // The portable kind: a hundred waiting system calls would be a hundred threads.
      udp: "portable",
    }),
  );
  await using driver = await connect({ socket: settings.socket });
  while ((await driver.info()).registration !== "registered") {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { node_id } = await driver.trust.request(target, "bench");
  await driver.trust.waitFor(node_id);
  await driver.ping(target);
  daemons.push(daemon);
}

const daemons: Daemon[] = [];

if (import.meta.main) {
  const config: IdlePeersConfig = JSON.parse(Deno.args[0]!);
  let next = 0;
  const worker = async () => {
    while (next < config.count) await startPeer(config, next++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  console.log(JSON.stringify({ connected: daemons.length }));
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
