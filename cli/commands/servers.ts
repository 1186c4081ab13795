/**
 * `rendezvous` and `gateway run`: the other long-running programs.
 *
 * @module
 */

import { join } from "node:path";
import { usageError } from "../errors.ts";
import type { Invocation } from "../invocation.ts";
import type { Outcome } from "../output.ts";
import { parseEndpointText, parsePort } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";

/** Where a rendezvous listens when nothing is said: where unconfigured daemons look. */
const DEFAULT_REGISTRY_ADDR = "127.0.0.1:9000";
const DEFAULT_BEACON_ADDR = "127.0.0.1:9001";
/** Local addresses of the gateway: loopback ones need neither set-up nor rights on Linux (services-cli.md §7). */
const DEFAULT_SUBNET = "127.77.0.0/16";
const DEFAULT_GATEWAY_PORTS: readonly number[] = [80, 443, 1000, 1001, 1002, 7, 8080, 8443];

async function rendezvous(call: Invocation): Promise<Outcome> {
  const { options } = call;
  const isMemory = options.flag("memory") ?? false;
  const given = options.text("store");
  if (isMemory && given !== undefined) {
    throw usageError("--memory and --store exclude each other");
  }
  let store: string | undefined;
  if (!isMemory) store = given ?? join((await call.settings()).home, "rendezvous");
  const runRendezvous = await call.host.roles.rendezvous();
  const exitCode = await runRendezvous({
    registryAddr: options.text("registry-addr") ?? DEFAULT_REGISTRY_ADDR,
    beaconAddr: options.text("beacon-addr") ?? DEFAULT_BEACON_ADDR,
    store,
    json: call.json,
  });
  return { data: {}, silent: true, exitCode };
}

async function gateway(call: Invocation): Promise<Outcome> {
  const settings = await call.settings();
  const runGateway = await call.host.roles.gateway();
  const ports = call.options.text("ports")?.split(",").map((text) => parsePort(text.trim()));
  const exitCode = await runGateway({
    socket: settings.socket,
    subnet: call.options.text("subnet") ?? DEFAULT_SUBNET,
    ports: ports ?? DEFAULT_GATEWAY_PORTS,
    targets: call.args,
    json: call.json,
  });
  return { data: {}, silent: true, exitCode };
}

/** Programs for operators. */
export const serversGroup: CommandGroup = {
  title: "Servers",
  commands: [
    {
      name: "rendezvous",
      summary: "Run registry and beacon in the foreground",
      options: [
        {
          flags: "--registry-addr <host:port>",
          description: "TCP address of the registry (127.0.0.1:9000); port 0 takes a free one",
          parse: parseEndpointText,
        },
        {
          flags: "--beacon-addr <host:port>",
          description: "UDP address of the beacon (127.0.0.1:9001); port 0 takes a free one",
          parse: parseEndpointText,
        },
        { flags: "--store <dir>", description: "Directory of the store (<home>/rendezvous)" },
        { flags: "--memory", description: "Keep everything in memory, nothing survives the end" },
      ],
      examples: [
        "rendezvous --registry-addr 127.0.0.1:9000 --beacon-addr 127.0.0.1:9001 --store /var/lib/pilot",
        "rendezvous --memory --registry-addr 127.0.0.1:0 --beacon-addr 127.0.0.1:0 --json",
      ],
      returns: "The ready line: registry, beacon, store, pid",
      run: rendezvous,
    },
    {
      name: "gateway",
      summary: "Give agents local IP addresses",
      commands: [{
        name: "run",
        summary: "Run the TCP gateway in the foreground",
        args: "[target...]",
        options: [
          { flags: "--subnet <cidr>", description: `Local addresses (${DEFAULT_SUBNET})` },
          {
            flags: "--ports <list>",
            description: `TCP ports, comma separated (${DEFAULT_GATEWAY_PORTS.join(",")})`,
          },
        ],
        examples: ["gateway run alice bob --ports 80,8080"],
        returns: "The ready line: pid, subnet, mappings[{local_ip, pilot_addr}]",
        run: gateway,
      }],
    },
  ],
};
