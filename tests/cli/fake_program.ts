/** A whole CLI program whose daemon does what its hostname says. Started by daemon_process_test.ts. */

import { join } from "node:path";
import { denoHost } from "../../cli/host_deno.ts";
import { main } from "../../cli/main.ts";
import { announceTrouble } from "../../platform/log.ts";
import { acquirePidFile } from "../../platform/pidfile.ts";
import type { DaemonOptions } from "../../platform/settings/mod.ts";
import { PilotError } from "../../protocol/errors.ts";

const noRole = () => Promise.reject(new Error("not in this test"));

async function runDaemon(options: DaemonOptions): Promise<number> {
  announceTrouble("level=info msg=starting");
  switch (options.hostname) {
    case "refuse":
      throw new PilotError("already_exists", "UDP port 4000 is taken", { hint: "Choose another" });
    case "crash":
      Deno.kill(Deno.pid, "SIGKILL");
      break;
    case "bug":
      throw new TypeError("undefined is not a function");
    case "leave":
      return 0;
  }
  await using _pidFile = await acquirePidFile(join(options.home, "pilot.pid"));
  await Deno.writeTextFile(join(options.home, "options.json"), JSON.stringify(options));
  if (options.hostname !== "mute") await Deno.writeTextFile(options.socket, "");
  const stop = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGTERM", () => {
    if (options.hostname !== "stubborn") stop.resolve();
  });
  const alive = setInterval(() => {}, 1000);
  await stop.promise;
  clearInterval(alive);
  await Deno.remove(options.socket);
  return 0;
}

const roles = {
  daemon: () => Promise.resolve(runDaemon),
  rendezvous: noRole,
  rendezvousStatus: noRole,
  rendezvousStore: noRole,
  gateway: noRole,
};
Deno.exit(await main(Deno.args, denoHost({ mainModule: import.meta.url, roles })));
