/**
 * Finds out what the network lets through, with a socket of its own and without a daemon.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../protocol/ip.ts";
import { PilotError } from "../../protocol/errors.ts";
import {
  type LocalAddresses,
  localAddresses,
  ownAddresses,
} from "../../platform/local_addresses.ts";
import {
  canonicalHost,
  type Resolve,
  serverAddresses,
} from "../../platform/net/server_addresses.ts";
import { openUdpSocket } from "../../platform/net/open_udp_socket.ts";
import type { UdpKind } from "../../platform/settings/mod.ts";
import { round } from "../output.ts";
import { beaconMtu } from "./mtu.ts";
import { natMapping, type View } from "./nat.ts";
import { type Answer, type ProbeSocket, UdpProber } from "./prober.ts";
import { checkRegistry, notReachable, type RegistryPlace } from "./registry_probe.ts";
import type {
  BeaconReport,
  FamilyReport,
  MtuReport,
  NatReport,
  NetcheckReport,
  Sighting,
} from "./netcheck_report.ts";
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
/** Beacons of the registry's list that are queried: two addresses show the mapping, and anyone may have listed them. */
export const MAX_OTHER_BEACONS = 3;
/** Ports have 16 bits, and one that follows the last does not exist. */
const MAX_PORT = 65_535;

/** What is checked, and with what. */
export interface NetcheckOptions extends RegistryPlace {
  /** Beacon, `host:port`. */
  readonly beacon: string;
  /** Implementation of the UDP socket, default the best that works here. */
  readonly udp?: UdpKind | undefined;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Opens a socket; default the platform's. */
  readonly open?: (options: { host: string; port: number; kind?: UdpKind | undefined }) => Promise<
    ProbeSocket
  >;
  /** This machine's addresses; default what the system says. */
  readonly addresses?: LocalAddresses | undefined;
  /** Looks names up; default the system's resolver. */
  readonly resolve?: Resolve | undefined;
}

/** What was learned over one kind of IP. */
interface Findings {
  /** The address that answers, or the first that was asked. */
  readonly beacon: Endpoint;
  readonly strays: readonly string[];
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
  // It ends on its own in that time, unless the system takes longer to give up a connection.
  const registry = time.within(
    checkRegistry(options, time),
    notReachable(options, new PilotError("unavailable", "The registry did not answer in time")),
  );
  const others = registry.then(({ beacons }) => beacons);
  const { endpoints, error } = await resolveBeacon(options, time.part(LOOKUP_MS));
  const check = async (beacons: readonly Endpoint[]) =>
    beacons.length === 0 ? undefined : await checkUdp(options, { beacons, others, time });
  const [v4, v6, { report }] = await Promise.all([
    check(endpoints.filter(({ host }) => isIPv4(host))),
    check(endpoints.filter(({ host }) => isIPv6(host))),
    registry,
  ]);
  const local = options.addresses ?? localAddresses();
  const best = v4 === undefined || (v4.answers.length === 0 && v6 !== undefined) ? v6 : v4;
  const asked = endpoints.map(formatEndpoint);
  const strays = [...new Set([v4, v6].flatMap((findings) => findings?.strays ?? []))];
  const beacon = beaconReport({ address: options.beacon, asked, strays }, best, error);
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
  { beacon, resolve }: NetcheckOptions,
  time: TimeLeft,
): Promise<{ endpoints: readonly Endpoint[]; error: string | null }> {
  const endpoint = parseEndpoint(beacon);
  const failed = (reason: string) => ({
    endpoints: [],
    error: `${endpoint.host} has no address: ${reason}`,
  });
  const found = serverAddresses(endpoint, { isDual: true, resolve }).then(
    (endpoints) => ({ endpoints, error: null }),
    (error) => failed(error instanceof Error ? error.message : String(error)),
  );
  return await time.within<{ endpoints: readonly Endpoint[]; error: string | null }>(
    found,
    failed("no answer in time"),
  );
}

/** As sockets name the senders of answers. */
function canonical({ host, port }: Endpoint): Endpoint {
  return { host: canonicalHost(host), port };
}

async function checkUdp(
  options: NetcheckOptions,
  { beacons, others, time }: {
    beacons: readonly Endpoint[];
    others: Promise<readonly Endpoint[]>;
    time: TimeLeft;
  },
): Promise<Findings> {
  const open = options.open ?? openUdpSocket;
  const [beacon] = beacons as [Endpoint];
  const isV6 = isIPv6(beacon.host);
  let socket: ProbeSocket;
  try {
    socket = await open({ host: isV6 ? "::" : "0.0.0.0", port: 0, kind: options.udp });
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown.message : String(thrown);
    return { beacon, strays: [], answers: [], sent: 0, ...NOTHING, error };
  }
  await using prober = new UdpProber(socket);
  const found = await firstAnswer(prober, beacons, time);
  const { sent } = found;
  if (found.answer === undefined) {
    return { beacon, strays: prober.strays, answers: [], sent, ...NOTHING, error: null };
  }
  return await measure(prober, { ...found, answer: found.answer }, { others, time });
}

/** Everything else about a beacon that answers. */
async function measure(
  prober: UdpProber,
  { beacon, answer, sent: before }: { beacon: Endpoint; answer: Answer; sent: number },
  { others, time }: { others: Promise<readonly Endpoint[]>; time: TimeLeft },
): Promise<Findings> {
  const { answers, sent } = await sample(prober, beacon, { answer, sent: before, time });
  const rttMs = median(answers);
  const mtu = await beaconMtu(prober, beacon, { rttMs, time: time.part(MTU_MS) });
  const servers = [beacon, ...otherServers(beacon, await time.within(others, []))];
  const views = await Promise.all(servers.map((server) => sight(prober, server, time)));
  const nat = natReport(views, answer.endpoint, prober.socket.local.port);
  return { beacon, strays: prober.strays, answers, sent, mtu, nat, error: null };
}

/** Asks all addresses at a time, up to three times; the first that answers is the one that a daemon would use. */
async function firstAnswer(
  prober: UdpProber,
  beacons: readonly Endpoint[],
  time: TimeLeft,
): Promise<{ beacon: Endpoint; answer: Answer | undefined; sent: number }> {
  let sent = 0;
  for (const wait of FIRST_WAITS_MS) {
    sent++;
    const timeoutMs = time.ms(wait);
    const isBeside = beacons.length > 1;
    const asking = beacons.map(async (beacon) => {
      const answer = await prober.ask({ to: beacon, timeoutMs, isBeside });
      if (answer === undefined) throw new Error("no answer");
      return { beacon, answer };
    });
    const first = await Promise.any(asking).catch(() => undefined); // none of them answers
    if (first !== undefined) return { ...first, sent };
  }
  return { beacon: beacons[0]!, answer: undefined, sent };
}

async function sample(
  prober: UdpProber,
  to: Endpoint,
  { answer, sent: before, time }: { answer: Answer; sent: number; time: TimeLeft },
): Promise<{ answers: Answer[]; sent: number }> {
  const answers = [answer];
  let sent = before;
  const rest = time.part(SAMPLING_MS);
  while (sent < SAMPLES && rest.ms() > 0) {
    sent++;
    const next = await prober.ask({ to, timeoutMs: rest.ms(SAMPLE_MS) });
    if (next !== undefined) answers.push(next);
  }
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

function median(answers: readonly Answer[]): number {
  const sorted = answers.map(({ rttMs }) => rttMs).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

function beaconReport(
  place: Pick<BeaconReport, "address" | "asked" | "strays">,
  findings: Findings | undefined,
  error: string | null,
): BeaconReport {
  const answers = findings?.answers ?? [];
  const reachable = answers.length > 0;
  return {
    ...place,
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
