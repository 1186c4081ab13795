/**
 * `rendezvous` and `gateway run`: the other long-running programs.
 *
 * @module
 */

import { join } from "node:path";
import { announceTrouble } from "../../platform/log.ts";
import { adviceText } from "../advice_text.ts";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import type { Outcome } from "../output.ts";
import {
  DEFAULT_GATEWAY_PORTS,
  GATEWAY,
  RENDEZVOUS,
  type RendezvousSettings,
  SECRETS,
} from "../../platform/settings/server_table.ts";
import { parseJoinUri } from "../../platform/join_uri.ts";
import type { BeaconRoleOptions, RendezvousRoleOptions } from "../roles.ts";
import { roleSettings, settingOptions } from "../setting_options.ts";
import type { CommandGroup, CommandSpec } from "../spec.ts";
import { gatewayText, rendezvousText } from "./ready_text.ts";
import { rendezvousStatusCommand } from "./rendezvous_status.ts";
import { rendezvousStoreCommands } from "./rendezvous_store.ts";

type Values = ReturnType<typeof roleSettings<RendezvousSettings>>;

async function rendezvous(call: Invocation): Promise<Outcome> {
  const values = roleSettings(RENDEZVOUS, call.options, call.host.env);
  const isMemory = values.memory === true;
  if (isMemory && values.store !== undefined) {
    throw usageError("--memory and --store exclude each other");
  }
  let store: string | undefined;
  if (!isMemory) store = values.store ?? join((await call.settings()).home, "rendezvous");
  const http = httpOf(values);
  const runRendezvous = await call.host.roles.rendezvous();
  const exitCode = await runRendezvous({
    registryAddr: values.registryAddr!,
    beaconAddr: values.beaconAddr!,
    store,
    newStore: values.newStore === true,
    ...await beaconOf(call, values),
    adminToken: await tokenOf("admin-token-file", values.adminTokenFile) ??
      roleSettings(SECRETS, call.options, call.host.env).adminToken,
    strict: values.noStrict !== true,
    ...tlsOf(values),
    advertise: values.advertise,
    ...http,
    log: { level: values.logLevel!, format: values.logFormat!, advise: adviceText },
    logFile: values.logFile,
    ready: (ready) => call.announce({ ...ready }, rendezvousText(ready)),
  });
  return { data: {}, silent: true, exitCode };
}

/** From a file that nobody else can read: a command line is seen by every user of the machine. */
async function tokenOf(option: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const { readPrivateFile } = await import("../../platform/private_files.ts");
  const token = (await readPrivateFile(path))?.trim();
  if (token === undefined) throw usageError(`--${option} ${path}: no such file`);
  if (token === "") throw usageError(`--${option} ${path}: the file is empty`);
  return token;
}

/** Only what was said. */
async function beaconOf(
  call: Invocation,
  values: Values,
): Promise<Pick<RendezvousRoleOptions, "beacon">> {
  const beacon = {
    peers: values.beaconPeers,
    id: values.beaconId,
    ...await beaconRegistryOf(call, values),
    token: await tokenOf("beacon-token-file", values.beaconTokenFile),
    advertise: values.beaconAdvertise,
    relayBytesPerSecond: values.relayRate,
    probePort: values.beaconProbePort,
    udp: values.udp === "auto" ? undefined : values.udp,
  };
  return Object.values(beacon).every((value) => value === undefined) ? {} : { beacon };
}

/** The registry that lists the beacons, and what is pinned of it: here, in its URI, or in the config file of the home. */
async function beaconRegistryOf(
  call: Invocation,
  { beaconRegistry: registry, beaconRegistryFingerprint: registryFingerprint }: Values,
): Promise<Pick<BeaconRoleOptions, "registry" | "registryFingerprint">> {
  if (registry?.startsWith("pilot:")) {
    if (registryFingerprint !== undefined) {
      throw usageError("The URI of --beacon-registry has the fingerprint already");
    }
    const target = parseJoinUri(registry);
    return { registry: target.registry, registryFingerprint: target.fingerprint };
  }
  if (registry === undefined || registryFingerprint !== undefined) {
    return { registry, registryFingerprint };
  }
  const { config } = await call.settings();
  const isJoined = config.registry === registry && config.registryTls !== false;
  return { registry, registryFingerprint: isJoined ? config.registryFingerprint : undefined };
}

/** Files given mean TLS only, too. */
function tlsOf(
  { tls, tlsCert: certFile, tlsKey: keyFile }: Values,
): Pick<RendezvousRoleOptions, "tls" | "tlsOnly"> {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw usageError("--tls-cert and --tls-key must be given together");
  }
  if (tls === false) {
    if (certFile === undefined) return { tls: "none" };
    throw usageError("--no-tls and --tls-cert exclude each other");
  }
  if (certFile !== undefined && keyFile !== undefined) {
    return { tls: { certFile, keyFile }, tlsOnly: true };
  }
  return { tls: "auto", tlsOnly: tls === true };
}

function httpOf(
  { http, httpHost: names = [], httpBehindProxy }: Values,
): Pick<RendezvousRoleOptions, "http" | "httpAccess"> {
  const behindProxy = httpBehindProxy === true;
  if (names.length === 0 && !behindProxy) return { http };
  if (http === undefined) throw usageError("--http-host and --http-behind-proxy require --http");
  return { http, httpAccess: { names, behindProxy } };
}

async function gateway(call: Invocation): Promise<Outcome> {
  const settings = await call.settings();
  const { subnet, ports } = roleSettings(GATEWAY, call.options, call.host.env);
  const runGateway = await call.host.roles.gateway();
  const exitCode = await runGateway({
    socket: settings.socket,
    common: settings.commonSocket,
    subnet: subnet!,
    ports: ports ?? DEFAULT_GATEWAY_PORTS,
    skipDenied: ports === undefined,
    targets: call.args,
    ready: (ready) => call.announce({ ...ready }, gatewayText(ready)),
    onError: (error) => {
      const advice = error.advice === undefined ? "" : ` (${adviceText(error.advice)})`;
      announceTrouble(`gateway: ${error.message}${advice}`);
    },
  });
  return { data: {}, silent: true, exitCode };
}

/** What both `rendezvous` and `rendezvous run` are. */
const RENDEZVOUS_COMMAND: Omit<CommandSpec, "name"> = {
  summary: "Run registry and beacon in the foreground",
  options: settingOptions(RENDEZVOUS),
  examples: [
    "rendezvous --registry-addr 127.0.0.1:9000 --beacon-addr 127.0.0.1:9001 --store /var/lib/pilot",
    "rendezvous --memory --registry-addr 127.0.0.1:0 --beacon-addr 127.0.0.1:0 --json",
    "rendezvous run --tls --http 127.0.0.1:9100",
  ],
  returns:
    "The ready line: registry, beacon, store, pid, http, registry_key, tls_fingerprint, join_uri, join_hint",
  run: rendezvous,
};

/** Programs for operators. */
export const serversGroup: CommandGroup = {
  title: "Servers",
  commands: [
    {
      name: "rendezvous",
      ...RENDEZVOUS_COMMAND,
      commands: [
        {
          ...RENDEZVOUS_COMMAND,
          name: "run",
          examples: ["rendezvous run --tls --http 127.0.0.1:9100"],
        },
        rendezvousStatusCommand,
        ...rendezvousStoreCommands,
      ],
    },
    {
      name: "gateway",
      summary: "Give agents local IP addresses",
      commands: [{
        name: "run",
        summary: "Run the TCP gateway in the foreground",
        args: "[target...]",
        options: settingOptions(GATEWAY),
        examples: ["gateway run alice bob --ports 80,8080"],
        returns: "The ready line: pid, subnet, mappings[{local_ip, pilot_addr}]",
        run: gateway,
      }],
    },
  ],
};
