/**
 * The beacon in the process of a registry: it knows the keys of the nodes, and learns at once what waits for them.
 *
 * @module
 */

import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { PilotError } from "../../protocol/errors.ts";
import { formatEndpoint, isUnspecified, parseEndpoint } from "../../protocol/ip.ts";
import { parseFingerprint } from "../../platform/fingerprint.ts";
import { registryWarning } from "../../platform/registry_exposure.ts";
import type { UdpKind } from "../../platform/settings/mod.ts";
import type { RegistryCore } from "../registry/core.ts";
import { isLetIn, maySee } from "../registry/sight.ts";
import { type BeaconListing, RemoteBeaconListing } from "./listing.ts";
import type { MappingLimits } from "./mappings.ts";
import { BeaconServer } from "./beacon_server.ts";
import { type BeaconSocket, openBeaconSocket } from "./beacon_socket.ts";

/** Ports have 16 bits, and one that follows the last does not exist. */
const MAX_PORT = 65_535;

/** How the beacon of a rendezvous is set up. */
export interface BeaconSettings {
  /** `host:port` of other beacons, which forward to each other (docs/protocol/beacon.md §3). */
  readonly peers?: readonly string[] | undefined;
  /**
   * Our number among the beacons of a registry, from 1. With it the beacon announces itself there and takes every
   * beacon listed there for a peer. Without a token anyone may be listed: only for registries whose clients are
   * trusted.
   */
  readonly id?: number | undefined;
  /** `host:port` of that registry; default the one in this process. */
  readonly registry?: string | undefined;
  /** SHA-256 of that registry's certificate, hex, which it must show: it is then asked over TLS. */
  readonly registryFingerprint?: string | undefined;
  /**
   * Secret of the cluster, at least 16 characters: the registry in this process lists only beacons that have it, and
   * another registry is shown that we have it.
   */
  readonly token?: string | undefined;
  /** `host:port` under which other beacons reach this one; default the listen address. */
  readonly advertise?: string | undefined;
  /** Relayed bytes per second of one source address; default 60 MB/s. */
  readonly relayBytesPerSecond?: number | undefined;
  /** Implementation of the UDP socket; default the fastest that works here. */
  readonly udp?: UdpKind | undefined;
  /** UDP port that only reports endpoints, on the beacon's host; default the beacon's plus 1, 0 for none. */
  readonly probePort?: number | undefined;
}

/**
 * Starts the beacon of a registry.
 *
 * @param core The registry.
 * @param options Listen address, settings and bounds other than the defaults.
 * @returns The listening beacon, notified by the registry of what waits.
 * @throws {PilotError} As {@linkcode BeaconServer}, and `invalid_argument` for settings that make no sense.
 */
export async function beaconBeside(
  core: RegistryCore,
  { addr, settings = {}, limits }: {
    readonly addr: string;
    readonly settings?: BeaconSettings | undefined;
    readonly limits?: MappingLimits | undefined;
  },
): Promise<BeaconServer> {
  const { peers, id, registry, registryFingerprint, advertise, relayBytesPerSecond, udp } =
    settings;
  if (id !== undefined && !(Number.isInteger(id) && id >= 1 && id <= 0xffffffff)) {
    throw new PilotError("invalid_argument", `A beacon's number is 1 to 4294967295, not ${id}`);
  }
  if (registry !== undefined && id === undefined) {
    throw new PilotError("invalid_argument", "A beacon needs a number to be listed by a registry", {
      advice: { id: "give_setting", setting: "beaconId" },
    });
  }
  const rate = relayBytesPerSecond ?? 1;
  if (!(Number.isFinite(rate) && rate > 0)) {
    throw new PilotError("invalid_argument", `Not a number of bytes per second: ${rate}`);
  }
  if (registryFingerprint !== undefined && registry === undefined) {
    throw new PilotError("invalid_argument", "A fingerprint needs the registry that it is of", {
      advice: { id: "give_setting", setting: "beaconRegistry" },
    });
  }
  const fingerprint = registryFingerprint === undefined
    ? undefined
    : parseFingerprint(registryFingerprint);
  const listing = registry === undefined ? localListing(core) : new RemoteBeaconListing({
    ...{ registry, fingerprint, clock: core.clock },
    token: core.beaconToken,
  });
  warnOfPlain(core, registry, fingerprint);
  for (const peer of peers ?? []) parseEndpoint(peer);
  const socket = await openBeaconSocket(addr, udp ?? "auto");
  const server = new BeaconServer({
    clock: core.clock,
    log: core.log,
    limits,
    relayBytesPerSecond,
    socket,
    probe: await openProbe(core, { addr, beaconPort: socket.local.port, port: settings.probePort }),
    keyOf: (node) => keyOf(core, node),
    mayMeet: (requester, target) => mayMeet(core, requester, target),
    maySend: (sender, target) => maySend(core, sender, target),
    cluster: { peers, id, advertise, listing: id === undefined ? undefined : listing },
  });
  core.inboxWatch = server;
  server.tick(); // finds the other beacons
  return server;
}

/** An impostor in its place names the beacons that this one relays for. */
function warnOfPlain(
  core: RegistryCore,
  registry: string | undefined,
  fingerprint: string | undefined,
): void {
  if (registry === undefined) return;
  const warning = registryWarning({ registry, registryTls: fingerprint !== undefined });
  if (warning === undefined) return;
  core.log.warn(warning, {
    advice: { id: "pin_beacon_registry" },
  });
}

/** A convenience for those who look for faults: without it the rest works as well. */
async function openProbe(
  core: RegistryCore,
  { addr, beaconPort, port = beaconPort + 1 }: {
    readonly addr: string;
    readonly beaconPort: number;
    readonly port?: number | undefined;
  },
): Promise<BeaconSocket | undefined> {
  if (port === 0 || port > MAX_PORT) return undefined;
  const { host } = parseEndpoint(addr, { isListen: true });
  const at = formatEndpoint({ host, port });
  try {
    return await openBeaconSocket(at, "portable"); // a few datagrams a day
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    core.log.warn("no probe port: netcheck cannot tell the kind of NAT by this beacon alone", {
      reason,
      advice: { id: "move_probe_port" },
    });
    return undefined;
  }
}

function keyOf(core: RegistryCore, node: number): Uint8Array | undefined {
  const record = core.nodes.known(node);
  if (record === undefined || record.state === "left") return undefined;
  return decodeBase64(record.key);
}

/**
 * A punch shows both sides where the other one is, and anyone can send one in another's name, so each must be one that
 * the other may see: who asks has resolved the other just before, which is its consent. A relay-only node is met by
 * nobody. Nodes that are not registered here are not our concern.
 */
function mayMeet(core: RegistryCore, requester: number, target: number): boolean {
  const asking = core.nodes.known(requester);
  const wanted = core.nodes.known(target);
  if (asking === undefined || wanted === undefined) return true;
  if (asking.relayOnly || wanted.relayOnly) return false;
  return maySee(core, asking, wanted) && maySee(core, wanted, asking);
}

/** Frames reach a node only from those that it lets in. Nodes that are not registered here are not our concern. */
function maySend(core: RegistryCore, sender: number, target: number): boolean {
  const wanted = core.nodes.known(target);
  return wanted === undefined || isLetIn(core, sender, wanted);
}

/** The listing of the registry in this process. */
function localListing(core: RegistryCore): BeaconListing {
  return {
    // deno-lint-ignore require-await -- rejects instead of throwing
    async exchange(id, addr) {
      const now = core.clock.now();
      if (!isUnspecified(addr.host)) {
        core.beacons.register({ id, addr: formatEndpoint(addr), source: undefined }, now);
      } else {
        core.log.warn("beacon listens on all addresses and does not know which one others reach", {
          advice: { id: "give_setting", setting: "beaconAdvertise" },
        });
      }
      return core.beacons.list(now);
    },
  };
}
