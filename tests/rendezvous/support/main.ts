/** A rendezvous as a process of its own: `deno run -A main.ts STORE [json] [HTTP-ADDRESS]`. */

import { runRendezvous } from "../../../rendezvous/mod.ts";

const [store, json, http] = Deno.args;
Deno.exit(
  await runRendezvous({
    registryAddr: "127.0.0.1:0",
    beaconAddr: "127.0.0.1:0",
    store,
    json: json === "json",
    http,
    log: { level: "warn", format: "text" },
  }),
);
