/**
 * `rendezvous` and `gateway run`: the other long-running programs.
 *
 * @module
 */

import { join } from "node:path";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import type { Outcome } from "../output.ts";
import type { LogFormat, LogLevel } from "../../platform/config.ts";
import {
  oneOf,
  parseEndpointText,
  parseFingerprint,
  parseHost,
  parsePort,
  parsePositive,
  parseServerHost,
} from "../parse.ts";
import type { UdpKind } from "../../platform/settings.ts";
import { parseJoinUri } from "../../platform/join_uri.ts";
import type { BeaconRoleOptions, RendezvousRoleOptions } from "../roles.ts";
import { type CommandGroup, type CommandSpec, LOG_FILE_OPTION } from "../spec.ts";
import { rendezvousStatusCommand } from "./rendezvous_status.ts";
import { rendezvousStoreCommands } from "./rendezvous_store.ts";

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
  const http = httpOf(call);
  const runRendezvous = await call.host.roles.rendezvous();
  const exitCode = await runRendezvous({
    registryAddr: options.text("registry-addr") ?? DEFAULT_REGISTRY_ADDR,
    beaconAddr: options.text("beacon-addr") ?? DEFAULT_BEACON_ADDR,
    store,
    newStore: options.flag("new-store") === true,
    ...await beaconOf(call),
    adminToken: await tokenOf(call, "admin-token-file") ??
      (call.host.env("PILOT_ADMIN_TOKEN") || undefined),
    strict: options.flag("strict") !== false,
    ...tlsOf(call),
    advertise: options.text("advertise"),
    ...http,
    log: {
      level: (options.text("log-level") ?? "info") as LogLevel,
      format: (options.text("log-format") ?? "text") as LogFormat,
    },
    logFile: options.text("log-file"),
    json: call.json,
  });
  return { data: {}, silent: true, exitCode };
}

/** From a file that nobody else can read: a command line is seen by every user of the machine. */
async function tokenOf(
  { options }: Invocation,
  option: "admin-token-file" | "beacon-token-file",
): Promise<string | undefined> {
  const path = options.text(option);
  if (path === undefined) return undefined;
  const { readPrivateFile } = await import("../../platform/private_files.ts");
  const token = (await readPrivateFile(path))?.trim();
  if (token === undefined) throw usageError(`--${option} ${path}: no such file`);
  if (token === "") throw usageError(`--${option} ${path}: the file is empty`);
  return token;
}

/** Only what was said. */
async function beaconOf(call: Invocation): Promise<Pick<RendezvousRoleOptions, "beacon">> {
  const { options } = call;
  const peers = options.text("beacon-peers")?.split(",").map((text) => text.trim());
  const beacon = {
    peers: peers?.map(parseEndpointText),
    id: options.number("beacon-id"),
    ...await beaconRegistryOf(call),
    token: await tokenOf(call, "beacon-token-file"),
    advertise: options.text("beacon-advertise"),
    relayBytesPerSecond: options.number("relay-rate"),
    probePort: options.number("beacon-probe-port"),
    udp: options.text("udp") as UdpKind | undefined,
  };
  return Object.values(beacon).every((value) => value === undefined) ? {} : { beacon };
}

/** The registry that lists the beacons, and what is pinned of it: here, in its URI, or in the config file of the home. */
async function beaconRegistryOf(
  call: Invocation,
): Promise<Pick<BeaconRoleOptions, "registry" | "registryFingerprint">> {
  const { options } = call;
  const registry = options.text("beacon-registry");
  const registryFingerprint = options.text("beacon-registry-fingerprint");
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
  const isJoined = config.registry === registry && config.registry_tls !== false;
  return { registry, registryFingerprint: isJoined ? config.registry_fingerprint : undefined };
}

/** Files given mean TLS only, too. */
function tlsOf({ options }: Invocation): Pick<RendezvousRoleOptions, "tls" | "tlsOnly"> {
  const tls = options.flag("tls");
  const certFile = options.text("tls-cert");
  const keyFile = options.text("tls-key");
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw usageError("--tls-cert and --tls-key belong together");
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

function httpOf({ options }: Invocation): Pick<RendezvousRoleOptions, "http" | "httpAccess"> {
  const http = options.text("http");
  const names = options.text("http-host")?.split(",").map((text) => parseHost(text.trim())) ?? [];
  const behindProxy = options.flag("http-behind-proxy") === true;
  if (names.length === 0 && !behindProxy) return { http };
  if (http === undefined) throw usageError("--http-host and --http-behind-proxy belong to --http");
  return { http, httpAccess: { names, behindProxy } };
}

async function gateway(call: Invocation): Promise<Outcome> {
  const settings = await call.settings();
  const runGateway = await call.host.roles.gateway();
  const ports = call.options.text("ports")?.split(",").map((text) => parsePort(text.trim()));
  const exitCode = await runGateway({
    socket: settings.socket,
    common: settings.commonSocket,
    subnet: call.options.text("subnet") ?? DEFAULT_SUBNET,
    ports: ports ?? DEFAULT_GATEWAY_PORTS,
    skipDenied: ports === undefined,
    targets: call.args,
    json: call.json,
  });
  return { data: {}, silent: true, exitCode };
}

/** What both `rendezvous` and `rendezvous run` are. */
const RENDEZVOUS: Omit<CommandSpec, "name"> = {
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
    {
      flags: "--advertise <host>",
      description: "Name or address by which others reach this machine, for the line they join by",
      parse: parseServerHost,
    },
    {
      flags: "--beacon-peers <list>",
      description: "host:port of other beacons, comma separated; they relay for each other",
    },
    {
      flags: "--beacon-id <n>",
      description: "Number among the beacons; with it, all that a registry lists are peers",
      parse: parsePositive,
    },
    {
      flags: "--beacon-registry <host:port>",
      description: "Registry that lists the beacons, or its pilot:// URI (the one of this process)",
      parse: (text) => text.startsWith("pilot:") ? text : parseEndpointText(text),
    },
    {
      flags: "--beacon-registry-fingerprint <hex>",
      description: "SHA-256 of its certificate, for TLS (from the config file if it was joined)",
      parse: parseFingerprint,
    },
    {
      flags: "--beacon-token-file <file>",
      description:
        "Token of the cluster, in a file with mode 0600: only beacons that have it are listed and peers",
    },
    {
      flags: "--beacon-advertise <host:port>",
      description: "Where other beacons reach this one (the listen address)",
      parse: parseEndpointText,
    },
    {
      flags: "--relay-rate <bytes>",
      description: "Bytes per second relayed for one source address (60000000)",
      parse: parsePositive,
    },
    {
      flags: "--beacon-probe-port <port>",
      description:
        "UDP port that tells netcheck its endpoint a second time (beacon port + 1), 0: none",
      parse: parsePort,
    },
    {
      flags: "--udp <kind>",
      description: "UDP socket of the beacon: auto, portable or linux (auto)",
      parse: oneOf("auto", "portable", "linux"),
    },
    { flags: "--store <dir>", description: "Directory of the store (<home>/rendezvous)" },
    {
      flags: "--new-store",
      description: "Begin anew, once, where the database is lost but the registry's key is there",
    },
    { flags: "--memory", description: "Keep everything in memory, nothing survives the end" },
    {
      flags: "--admin-token-file <file>",
      description: "Admin token, in a file with mode 0600 (PILOT_ADMIN_TOKEN); none: no admin",
    },
    {
      flags: "--no-strict",
      description: "Take unsigned role claims and scores, as existing clients send them",
    },
    {
      flags: "--tls",
      description: "Serve TLS only (both TLS and plain TCP, with a certificate kept in the store)",
    },
    { flags: "--no-tls", description: "Serve plain TCP only" },
    {
      flags: "--tls-cert <file>",
      description: "PEM certificate chain, the server's own first; implies --tls",
    },
    { flags: "--tls-key <file>", description: "PEM private key of it" },
    {
      flags: "--http <host:port>",
      description: "TCP address of /healthz and /metrics (none); /metrics answers loopback only",
      parse: parseEndpointText,
    },
    {
      flags: "--http-host <list>",
      description:
        "Names by which it may be asked there, comma separated (IP addresses, localhost)",
    },
    {
      flags: "--http-behind-proxy",
      description: "Believe X-Real-IP, X-Forwarded-For and Forwarded of a proxy on this machine",
    },
    {
      flags: "--log-level <level>",
      description: "debug, info, warn or error (info)",
      parse: oneOf("debug", "info", "warn", "error"),
    },
    {
      flags: "--log-format <format>",
      description: "text or json (text)",
      parse: oneOf("text", "json"),
    },
    LOG_FILE_OPTION,
  ],
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
      ...RENDEZVOUS,
      commands: [
        {
          ...RENDEZVOUS,
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
        options: [
          { flags: "--subnet <cidr>", description: `Local addresses (${DEFAULT_SUBNET})` },
          {
            flags: "--ports <list>",
            description: `TCP ports, comma separated (those of ${
              DEFAULT_GATEWAY_PORTS.join(",")
            } that this user may listen on)`,
          },
        ],
        examples: ["gateway run alice bob --ports 80,8080"],
        returns: "The ready line: pid, subnet, mappings[{local_ip, pilot_addr}]",
        run: gateway,
      }],
    },
  ],
};
