/** A rendezvous with an admin token as a process of its own: `deno run -A server_main.ts STORE`. */

import { runRendezvous } from "../../../../rendezvous/mod.ts";
import { ADMIN } from "./support.ts";

Deno.exit(
  await runRendezvous({
    registryAddr: "127.0.0.1:0",
    beaconAddr: "127.0.0.1:0",
    store: Deno.args[0],
    adminToken: ADMIN,
    ready: (data) => console.log(JSON.stringify({ status: "ok", data })),
  }),
);
