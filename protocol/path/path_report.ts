/**
 * What `pilotctl path` shows: which path to a peer is used, what was tried, and why it is not a better one.
 *
 * @module
 */

import { formatEndpoint } from "../ip.ts";
import type { CandidateKind, Path } from "./path.ts";
import type { PathManager } from "./manager.ts";
import type { PathMode, Route } from "./route.ts";

/** Why a peer is not reached directly; stable. */
export type PathReason =
  | ""
  | "no_session"
  | "relay_only"
  | "no_endpoint"
  | "probing"
  | "no_answer"
  | "broken";

/** One path that may lead to the peer. */
export interface CandidateReport {
  /** `host:port`, or `(relay)`. */
  readonly endpoint: string;
  /** Where it comes from. */
  readonly kind: CandidateKind;
  /** Its state. */
  readonly state: "untested" | "probing" | "works" | "failed" | "in_use";
  /** Round trip of its probes, milliseconds; null before the first answer. */
  readonly rtt_ms: number | null;
  /** Probes sent. */
  readonly sent: number;
  /** Probes answered. */
  readonly answered: number;
  /** Milliseconds since the last probe; null before the first. */
  readonly last_sent_ms: number | null;
  /** Milliseconds since the last answer; null before the first. */
  readonly last_answer_ms: number | null;
  /** Largest frame known to pass in one piece, bytes; older daemons do not report it. */
  readonly max_bytes?: number;
  /** Frames sent by it; older daemons do not report it. */
  readonly frames_sent?: number;
  /** Their bytes. */
  readonly bytes_sent?: number;
  /** Authentic frames received by it; older daemons do not report it. */
  readonly frames_received?: number;
  /** Their bytes. */
  readonly bytes_received?: number;
}

/** The path to one peer. */
export interface PathReport {
  /** Node number. */
  readonly node_id: number;
  /** How frames go now. */
  readonly route: "direct" | "relay" | "none";
  /** `host:port`, `(relay)`, or empty. */
  readonly endpoint: string;
  /** Where the path in use comes from; empty when there is none. */
  readonly kind: CandidateKind | "";
  /** Milliseconds for which this path is in use; null when there is none. */
  readonly since_ms: number | null;
  /** Round trip of its probes, milliseconds; null when it was never probed. */
  readonly rtt_ms: number | null;
  /** Milliseconds since the peer was last heard; null before the first frame. */
  readonly heard_ms: number | null;
  /** Which paths the daemon may take. */
  readonly mode: PathMode;
  /** Why it is not direct; empty when it is. */
  readonly reason_code: PathReason;
  /** The same for people. */
  readonly reason: string;
  /** Milliseconds until the next search for a direct path; null when none is planned. */
  readonly next_search_ms: number | null;
  /** MTU of the path as far as it is proven, bytes with IP headers. */
  readonly path_mtu: number;
  /** Payload bytes of a full stream segment. */
  readonly mss: number;
  /** Every path known. */
  readonly candidates: readonly CandidateReport[];
}

/** What a {@linkcode PathManager} does not know itself. */
export interface PathFacts {
  /** Number of the peer. */
  readonly node: number;
  /** See {@linkcode PathReport}. */
  readonly pathMtu: number;
  /** See {@linkcode PathReport}. */
  readonly mss: number;
}

const REASONS: Readonly<Record<Exclude<PathReason, "">, string>> = {
  no_session: "No keys have been exchanged with this peer",
  relay_only: "This daemon is relay-only: it reaches peers through the beacon alone",
  no_endpoint: "No address of the peer is known: it is offline, relay-only, or not announced",
  probing: "Direct addresses are being probed",
  no_answer: "No direct address answers: a NAT or firewall on the way lets nothing in",
  broken: "The direct path stopped answering",
};

/** The route as people read it. */
export function formatRoute(route: Route | undefined): string {
  return route === undefined || route.via === "relay" ? "(relay)" : formatEndpoint(route.endpoint);
}

/** How fast the path in use is, and for how long it is in use; as in {@linkcode PathReport}. */
export function pathTimes(
  paths: PathManager,
  now: number,
): Pick<PathReport, "rtt_ms" | "since_ms"> {
  const { current } = paths;
  return {
    rtt_ms: rounded(current?.rttMs),
    since_ms: current === undefined ? null : ago(paths.sinceMs, now),
  };
}

/** Describes the paths to a peer at a time. */
export function reportPath(paths: PathManager, facts: PathFacts, now: number): PathReport {
  const { current } = paths;
  const code = reasonOf(paths);
  const { nextSearchMs } = paths;
  return {
    node_id: facts.node,
    route: current === undefined ? "none" : current.route.via,
    endpoint: current === undefined ? "" : formatRoute(current.route),
    kind: current?.kind ?? "",
    ...pathTimes(paths, now),
    heard_ms: ago(paths.heardMs, now),
    mode: paths.mode,
    reason_code: code,
    reason: code === "" ? "" : REASONS[code],
    next_search_ms: nextSearchMs === Infinity ? null : Math.max(0, Math.round(nextSearchMs - now)),
    path_mtu: facts.pathMtu,
    mss: facts.mss,
    candidates: paths.all.map((path) => describe(path, current, now)),
  };
}

function describe(
  path: Path,
  current: Path | undefined,
  now: number,
): CandidateReport {
  return {
    endpoint: formatRoute(path.route),
    kind: path.kind,
    state: path === current ? "in_use" : stateOf(path, now),
    rtt_ms: rounded(path.rttMs),
    sent: path.sent,
    answered: path.answered,
    last_sent_ms: ago(path.probedMs, now),
    last_answer_ms: ago(path.answeredMs, now),
    max_bytes: path.maxBytes,
    frames_sent: path.framesSent,
    bytes_sent: path.bytesSent,
    frames_received: path.framesReceived,
    bytes_received: path.bytesReceived,
  };
}

function stateOf(path: Path, now: number): CandidateReport["state"] {
  if (path.sent === 0) return "untested";
  if (path.unansweredMs === Infinity) return "works";
  return path.probeMs !== Infinity || now < path.failsMs ? "probing" : "failed";
}

function reasonOf(paths: PathManager): PathReason {
  const { current, all, mode } = paths;
  if (current === undefined) return "no_session";
  if (!current.isRelay) return "";
  if (mode === "relay-only") return "relay_only";
  const direct = all.filter(({ isRelay }) => !isRelay);
  if (direct.length === 0) return "no_endpoint";
  if (direct.some(({ probeMs }) => probeMs !== Infinity)) return "probing";
  if (direct.some(({ failures }) => failures > 0)) return "broken";
  return direct.every(({ sent }) => sent === 0) ? "probing" : "no_answer";
}

function ago(atMs: number, now: number): number | null {
  return atMs === -Infinity ? null : Math.max(0, Math.round(now - atMs));
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 100) / 100;
}
