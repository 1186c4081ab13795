/** A rendezvous as a process of its own: `deno run -A main.ts STORE [json]`. */

import { runRendezvous } from "../../../rendezvous/mod.ts";

const [store, json] = Deno.args;
Deno.exit(
  await runRendezvous({
    registryAddr: "127.0.0.1:0",
    beaconAddr: "127.0.0.1:0",
    store,
    json: json === "json",
  }),
);
