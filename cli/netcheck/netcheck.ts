/**
 * Finds out what the network lets through, with a socket of its own and without a daemon.
 *
 * @module
 */

import { lookup } from "node:dns/promises";
import { isIP, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import {
  type Endpoint,
  formatEndpoint,
  formatIp,
  parseEndpoint,
  parseIp,
} from "../../protocol/ip.ts";
import { PilotError } from "../../protocol/errors.ts";
import { type LocalAddresses, localAddresses } from "../../platform/local_addresses.ts";
import { openUdpSocket } from "../../platform/net/open.ts";
import type { UdpKind } from "../../platform/settings.ts";
import { round } from "../output.ts";
import { beaconMtu } from "./mtu.ts";
import { natMapping, type View } from "./nat.ts";
import { type Answer, type ProbeSocket, UdpProber } from "./prober.ts";
import { checkRegistry, notReachable, type RegistryPlace } from "./registry.ts";
import type {
  BeaconReport,
  FamilyReport,
  MtuReport,
  NatReport,
  NetcheckReport,
  Sighting,
} from "./report.ts";
import { TimeLeft } from "./time_left.ts";

/** Longest time for everything, milliseconds: below the 5 s that people are promised. */
export const NETCHECK_MS = 4_600;
/** Longest time for the beacon's name. */
const LOOKUP_MS = 1_200;
/** Waits for the first answer, milliseconds: three questions before UDP counts as blocked. */
const FIRST_WAITS_MS = [300, 500, 900];
/** Round trips that are measured. */
const SAMPLES = 5;
/** Longest wait for each of the others, and for all of them, milliseconds. */
const SAMPLE_MS = 800;
const SAMPLING_MS = 1_500;
/** Longest wait for another server, milliseconds, each of two questions. */
const SIGHTING_MS = 400;
const SIGHTING_TRIES = 2;
/** Longest search for the MTU, milliseconds. */
const MTU_MS = 1_500;
/** Beacons of the registry's listing that are asked: two addresses tell the mapping, and anybody may have listed them. */
export const MAX_OTHER_BEACONS = 3;
/** Ports have 16 bits, and one that follows the last does not exist. */
const MAX_PORT = 65_535;

/** What is checked, and with what. */
export interface NetcheckOptions extends RegistryPlace {
  /** Beacon, `host:port`. */
  readonly beacon: string;
  /** Form of the UDP socket, default the best that works here. */
  readonly udp?: UdpKind | undefined;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Opens a socket; default the platform's. */
  readonly open?: (options: { host: string; port: number; kind?: UdpKind | undefined }) => Promise<
    ProbeSocket
  >;
  /** This machine's addresses; default what the system says. */
  readonly addresses?: LocalAddresses | undefined;
}

/** What was learned over one kind of IP. */
interface Findings {
  readonly beacon: Endpoint;
  readonly answers: readonly Answer[];
  readonly sent: number;
  readonly nat: NatReport;
  readonly mtu: MtuReport;
  /** Why there is no socket. */
  readonly error: string | null;
}

const UNKNOWN_NAT: NatReport = { behind: null, mapping: "unknown", port_preserved: null, seen: [] };
const NOTHING = {
  nat: UNKNOWN_NAT,
  mtu: { bytes: null, note: "the beacon does not answer" },
} as const;

/**
 * Checks registry, UDP, NAT and MTU.
 *
 * @param options Where they are.
 * @returns Everything but the daemon's view, after at most {@linkcode NETCHECK_MS} and the system's own delays.
 */
export async function netcheck(
  options: NetcheckOptions,
): Promise<Omit<NetcheckReport, "daemon">> {
  const startMs = performance.now();
  const time = new TimeLeft(NETCHECK_MS, options.signal);
  // It ends by itself in that time, unless the system takes longer to give up a connection.
  const registry = time.within(
    checkRegistry(options, time),
    notReachable(options, new PilotError("unavailable", "The registry did not answer in time")),
  );
  const others = registry.then(({ beacons }) => beacons);
  const { endpoints, error } = await resolveBeacon(options.beacon, time.part(LOOKUP_MS));
  const check = async (beacon: Endpoint | undefined) =>
    beacon === undefined ? undefined : await checkUdp(options, { beacon, others, time });
  const [v4, v6, { report }] = await Promise.all([
    check(endpoints.find(({ host }) => isIPv4(host))),
    check(endpoints.find(({ host }) => isIPv6(host))),
    registry,
  ]);
  const local = options.addresses ?? localAddresses();
  const best = v4 === undefined || (v4.answers.length === 0 && v6 !== undefined) ? v6 : v4;
  const beacon = beaconReport(options.beacon, best, error);
  return {
    udp: beacon.reachable,
    registry: report,
    beacon,
    ipv4: familyReport(local.ipv4, v4),
    ipv6: familyReport(local.globalIpv6, v6),
    nat: best?.nat ?? NOTHING.nat,
    mtu: best?.mtu ?? NOTHING.mtu,
    duration_ms: round(performance.now() - startMs, 0),
  };
}

async function resolveBeacon(
  beacon: string,
  time: TimeLeft,
): Promise<{ endpoints: Endpoint[]; error: string | null }> {
  const { host, port } = parseEndpoint(beacon);
  if (isIP(host) !== 0) return { endpoints: [canonical({ host, port })], error: null };
  const failed = (reason: string) => ({
    endpoints: [],
    error: `${host} has no address: ${reason}`,
  });
  const found = lookup(host, { all: true }).then(
    (list) => ({
      endpoints: list.map(({ address }) => canonical({ host: address, port })),
      error: null,
    }),
    (error) => failed(error instanceof Error ? error.message : String(error)),
  );
  return await time.within<{ endpoints: Endpoint[]; error: string | null }>(
    found,
    failed("no answer in time"),
  );
}

/** As sockets name the senders of answers. */
function canonical({ host, port }: Endpoint): Endpoint {
  return { host: formatIp(parseIp(host)), port };
}

async function checkUdp(
  options: NetcheckOptions,
  { beacon, others, time }: {
    beacon: Endpoint;
    others: Promise<readonly Endpoint[]>;
    time: TimeLeft;
  },
): Promise<Findings> {
  const open = options.open ?? openUdpSocket;
  const isV6 = isIPv6(beacon.host);
  let socket: ProbeSocket;
  try {
    socket = await open({ host: isV6 ? "::" : "0.0.0.0", port: 0, kind: options.udp });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown.message : String(thrown);
    return { beacon, answers: [], sent: 0, ...NOTHING, error };
  }
  await using prober = new UdpProber(socket);
  const { answers, sent } = await sample(prober, beacon, time);
  const [first] = answers;
  if (first === undefined) return { beacon, answers, sent, ...NOTHING, error: null };
  const rttMs = median(answers);
  const mtu = await beaconMtu(prober, beacon, { rttMs, time: time.part(MTU_MS) });
  const servers = [beacon, ...otherServers(beacon, await time.within(others, []))];
  const views = await Promise.all(servers.map((server) => sight(prober, server, time)));
  const nat = natReport(views, first.endpoint, socket.local.port);
  return { beacon, answers, sent, mtu, nat, error: null };
}

async function sample(
  prober: UdpProber,
  to: Endpoint,
  time: TimeLeft,
): Promise<{ answers: Answer[]; sent: number }> {
  const answers: Answer[] = [];
  let sent = 0;
  const ask = async (timeoutMs: number) => {
    sent++;
    const answer = await prober.ask({ to, timeoutMs });
    if (answer !== undefined) answers.push(answer);
  };
  for (const wait of FIRST_WAITS_MS) {
    if (answers.length === 0) await ask(time.ms(wait));
  }
  const rest = time.part(SAMPLING_MS);
  while (answers.length > 0 && sent < SAMPLES && rest.ms() > 0) await ask(rest.ms(SAMPLE_MS));
  return { answers, sent };
}

/** The beacon's probe port, where a rendezvous of ours has one, and beacons of the listing. */
function otherServers(beacon: Endpoint, listed: readonly Endpoint[]): Endpoint[] {
  const servers: Endpoint[] = [];
  if (beacon.port < MAX_PORT) servers.push({ host: beacon.host, port: beacon.port + 1 });
  const isV6 = isIPv6(beacon.host);
  for (const endpoint of listed.map(canonical)) {
    const isOther = isIPv6(endpoint.host) === isV6 && endpoint.host !== beacon.host;
    if (isOther && servers.length <= MAX_OTHER_BEACONS) servers.push(endpoint);
  }
  return servers;
}

async function sight(
  prober: UdpProber,
  server: Endpoint,
  time: TimeLeft,
): Promise<{ server: Endpoint; seen: Endpoint | undefined }> {
  for (let i = 0; i < SIGHTING_TRIES; i++) {
    const answer = await prober.ask({
      to: server,
      timeoutMs: time.ms(SIGHTING_MS),
      isBeside: true,
    });
    if (answer !== undefined) return { server, seen: answer.endpoint };
  }
  return { server, seen: undefined };
}

function natReport(
  sights: readonly { server: Endpoint; seen: Endpoint | undefined }[],
  reflexive: Endpoint,
  localPort: number,
): NatReport {
  const behind = !ownAddresses().has(reflexive.host);
  const views = sights.filter((view): view is View => view.seen !== undefined);
  const seen: Sighting[] = sights.map(({ server, seen }) => ({
    server: formatEndpoint(server),
    endpoint: seen === undefined ? null : formatEndpoint(seen),
  }));
  return {
    behind,
    mapping: behind ? natMapping(views) : "none",
    port_preserved: reflexive.port === localPort,
    seen,
  };
}

/** Every address of this machine, loopback included: an endpoint there was translated by nobody. */
function ownAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flat().flatMap((entry) => {
    const address = entry?.address.split("%")[0];
    return address === undefined ? [] : [formatIp(parseIp(address))];
  });
  return new Set(addresses);
}

function median(answers: readonly Answer[]): number {
  const sorted = answers.map(({ rttMs }) => rttMs).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function beaconReport(
  address: string,
  findings: Findings | undefined,
  error: string | null,
): BeaconReport {
  const answers = findings?.answers ?? [];
  const reachable = answers.length > 0;
  return {
    address,
    reachable,
    rtt_min_ms: reachable ? round(Math.min(...answers.map(({ rttMs }) => rttMs)), 2) : null,
    rtt_median_ms: reachable ? round(median(answers), 2) : null,
    sent: findings?.sent ?? 0,
    answered: answers.length,
    error: error ?? findings?.error ?? null,
  };
}

function familyReport(local: readonly string[], findings: Findings | undefined): FamilyReport {
  const [first] = findings?.answers ?? [];
  return {
    local,
    beacon: findings === undefined ? null : formatEndpoint(findings.beacon),
    reachable: findings === undefined ? null : first !== undefined,
    reflexive: first === undefined ? null : formatEndpoint(first.endpoint),
  };
}
