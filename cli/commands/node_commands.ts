/**
 * This node and its place in the registry: `info`, `health`, `peers`, `connections`, `find`, `lookup`, `set-*`,
 * `deregister` (docs/protocol/command-line.md §4).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { usageError } from "../command_failure.ts";
import type { CliDriver, Invocation } from "../invocation.ts";
import {
  counted,
  fields,
  formatBytes,
  formatUptime,
  type Outcome,
  round,
  table,
} from "../output.ts";
import { Names } from "../peer_labels.ts";
import { parseHostname, parseNode } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";
import { lines, safe, type SafeText } from "../terminal_text.ts";
import { registryWarningText } from "./daemon_commands.ts";

/** Rows of a table for people; `--json` shows all. */
const MAX_ROWS = 50;
/** Most tags a command sets (docs/protocol/command-line.md §4); the registry holds up to 10. */
const MAX_TAGS = 10;

type Info = Awaited<ReturnType<CliDriver["info"]>>;

/** Longest wait for a registry that is queried instead of an existing daemon, milliseconds. */
const LOOKUP_TIMEOUT_MS = 10_000;

async function info(call: Invocation): Promise<Outcome> {
  const state = await (await call.driver()).info({ signal: call.signal });
  return { data: { ...state }, text: infoText(state, call, await Names.known(call)) };
}

function infoText(state: Info, call: Invocation, names: Names): SafeText {
  const address = state.node_id === 0 ? "not registered yet" : state.address;
  const extra: Record<string, unknown> = { ...state }; // keys that only our daemon has
  const networks = (state.networks ?? []).map((network) => network.address);
  const text = fields([
    ["Version", state.version],
    ["Node ID", state.node_id || ""],
    ["Address", address],
    ["Hostname", state.hostname],
    ["Tags", Array.isArray(extra.tags) ? extra.tags.join(", ") : ""],
    ["Visible", extra.public === undefined ? "" : extra.public ? "public" : "private"],
    ["Status", extra.status === "degraded" ? `degraded: ${reasonText(extra)}` : ""],
    ["Registration", registrationText(extra)],
    ["Email", state.email],
    ["Paths", extra.path_mode === "auto" ? "" : extra.path_mode],
    ["Uptime", formatUptime(state.uptime_secs)],
    ["Connections", state.connections],
    ["Ports", state.ports],
    ["Peers", state.peers],
    [
      "Encryption",
      state.encrypt
        ? `${state.encrypted_peers}/${state.peers} peers, ${state.authenticated_peers} authenticated`
        : "off",
    ],
    ["Identity", state.public_key.slice(0, 16)],
    ["Networks", state.node_id === 0 ? "" : networks.join(", ")],
    ["Traffic", `${formatBytes(state.bytes_sent)} sent, ${formatBytes(state.bytes_recv)} received`],
    ["Packets", `${state.pkts_sent} sent, ${state.pkts_recv} received`],
    ["Pending", state.handshake_pending_count || ""],
    ["Events", eventsText(extra)],
  ]);
  const list = connectionTable(state, call, names);
  const warning = registryWarningText(extra, call.style);
  return lines([text, warning, list === undefined ? undefined : safe`\n${list}`]);
}

function reasonText({ status_reasons }: Record<string, unknown>): string {
  return Array.isArray(status_reasons) ? status_reasons.join("; ") : "";
}

function eventsText(
  { event_subscribers: subscribers, event_overruns: overruns }: Record<string, unknown>,
) {
  if (!overruns) return subscribers ? counted(Number(subscribers), "subscriber") : "";
  return `${
    counted(Number(subscribers), "subscriber")
  }; ${overruns} disconnected for being too slow`;
}

function registrationText(info: Record<string, unknown>): string {
  if (info.registration === undefined) return "";
  const error = info.registration_error === undefined ? "" : ` (${info.registration_error})`;
  const guards = [
    info.registry_tls ? "TLS, certificate pinned" : "plain TCP",
    info.registry_signed ? "answers signed" : "",
  ].filter((guard) => guard !== "").join(", ");
  return `${info.registration} at ${info.registry} (${guards})${error}`;
}

function connectionTable(state: Info, call: Invocation, names: Names): SafeText | undefined {
  const all = state.conn_list ?? [];
  if (all.length === 0) return undefined;
  const rows = all.slice(0, MAX_ROWS).map((conn) => [
    conn.id,
    conn.local_port,
    names.behind(conn.remote_addr, conn.remote_port),
    conn.state,
    `${round(conn.srtt_ms, 1)} ms`,
    formatBytes(conn.in_flight),
    formatBytes(conn.cong_win),
    `${formatBytes(conn.bytes_sent)} / ${formatBytes(conn.bytes_recv)}`,
    conn.retransmits,
  ]);
  const headings = [
    "ID",
    "PORT",
    "REMOTE",
    "STATE",
    "RTT",
    "IN FLIGHT",
    "WINDOW",
    "SENT / RECEIVED",
    "RETX",
  ];
  return safe`${table(headings, rows, call.style)}${more(all.length)}`;
}

function more(total: number): SafeText | string {
  return total > MAX_ROWS ? safe`\n... and ${total - MAX_ROWS} more, see --json` : "";
}

async function health(call: Invocation): Promise<Outcome> {
  const state = await (await call.driver()).health({ signal: call.signal });
  const extra: Record<string, unknown> = { ...state }; // keys that only our daemon has
  const text = fields([
    ["Status", state.status],
    ["Reason", reasonText(extra)],
    ["Registration", extra.registration],
    ["Uptime", formatUptime(state.uptime_seconds)],
    ["Connections", state.connections],
    ["Peers", state.peers],
    ["Traffic", `${formatBytes(state.bytes_sent)} sent, ${formatBytes(state.bytes_recv)} received`],
  ]);
  return { data: { ...state }, text };
}

async function peers(call: Invocation): Promise<Outcome> {
  const state = await (await call.driver()).info({ signal: call.signal });
  const search = call.options.text("search")?.toLowerCase();
  const names = await Names.known(call);
  const found = (state.peer_list ?? []).filter((peer) =>
    search === undefined || `${peer.node_id} ${peer.endpoint}`.toLowerCase().includes(search)
  );
  const rows = found.slice(0, MAX_ROWS).map((peer) => [
    peer.node_id,
    names.of(peer.node_id),
    peer.endpoint,
    peer.relay ? "relay" : "direct",
    formatRtt(peer.rtt_ms),
    formatSince(peer.since_ms),
    peer.path_mtu ?? "",
    peer.authenticated ? "yes" : "no",
  ]);
  const headings = ["NODE ID", "NAME", "ENDPOINT", "PATH", "RTT", "SINCE", "MTU", "AUTHENTICATED"];
  const text = found.length === 0
    ? call.style.dim("No peers")
    : safe`${table(headings, rows, call.style)}${more(found.length)}`;
  return { data: { peers: found, total: found.length }, text };
}

async function path(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "peer");
  const report = await (await call.driver()).path(target, { signal: call.signal });
  const isDirect = report.reason_code === "";
  const summary = fields([
    ["Node ID", report.node_id],
    ["Path", report.route === "none" ? "none" : `${report.route}, ${report.endpoint}`],
    ["In use", report.since_ms === null ? "" : `for ${formatSince(report.since_ms)}`],
    ["Round trip", formatRtt(report.rtt_ms)],
    ["MTU", `${report.path_mtu} bytes, segments of ${report.mss}`],
    ["Not direct", isDirect ? "" : report.reason],
    [
      "Next search",
      report.next_search_ms === null ? "" : `in ${formatSince(report.next_search_ms)}`,
    ],
  ]);
  const rows = report.candidates.map((candidate) => [
    candidate.endpoint,
    candidate.kind,
    candidate.state.replace("_", " "),
    formatRtt(candidate.rtt_ms),
    `${candidate.answered}/${candidate.sent}`,
    formatSince(candidate.last_answer_ms),
  ]);
  const headings = ["CANDIDATE", "KIND", "STATE", "RTT", "ANSWERED", "LAST ANSWER"];
  return { data: { ...report }, text: safe`${summary}\n\n${table(headings, rows, call.style)}` };
}

function formatRtt(ms: number | null | undefined): string {
  return typeof ms === "number" ? `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms` : "";
}

function formatSince(ms: number | null | undefined): string {
  return typeof ms === "number" ? formatUptime(ms / 1000) : "";
}

async function connections(call: Invocation): Promise<Outcome> {
  const state = await (await call.driver()).info({ signal: call.signal });
  const list = state.conn_list ?? [];
  const text = connectionTable(state, call, await Names.known(call)) ??
    call.style.dim("No connections");
  return { data: { connections: list, total: list.length }, text };
}

async function find(call: Invocation): Promise<Outcome> {
  const hostname = call.arg(0, "hostname");
  const found = await (await call.driver()).registry.resolve(hostname, { signal: call.signal });
  const data = { ...found, hostname: found.hostname ?? hostname };
  const text = fields([
    ["Hostname", data.hostname],
    ["Node ID", found.node_id],
    ["Address", found.address],
    ["Visible", found.public === undefined ? "" : found.public ? "public" : "private"],
  ]);
  return { data, text };
}

async function lookup(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "node");
  const driver = await call.driver();
  const node = /^\d+$/.test(target)
    ? parseNode(target)
    : (await driver.resolveTarget(target, { signal: call.signal })).node;
  const found = await driver.registry.lookup(node, { signal: call.signal }).catch((error) =>
    lookupWithoutDaemon(call, node, error)
  );
  const text = fields(
    Object.entries(found).filter(([key]) => key !== "type").map(([key, value]) => [
      key,
      typeof value === "object" && value !== null ? JSON.stringify(value) : value,
    ]),
  );
  return { data: found, text };
}

/** Existing daemons have no such command; their registry answers it to everybody. */
async function lookupWithoutDaemon(call: Invocation, node: number, error: unknown) {
  const isMissing = error instanceof PilotError && error.code === "unavailable" &&
    (await call.driver()).daemonVersion === "";
  const place = await call.settings();
  if (!isMissing || place.registry === "") throw error;
  const [{ lookupNode }, { TimeLeft }] = await Promise.all([
    import("../netcheck/registry_probe.ts"),
    import("../netcheck/time_left.ts"),
  ]);
  return await lookupNode(place, node, new TimeLeft(LOOKUP_TIMEOUT_MS, call.signal));
}

/** Keeps the config file in step with the registry, so that the next start of the daemon does not undo it. */
async function remember(call: Invocation, patch: Record<string, unknown>): Promise<void> {
  const { updateConfigFile } = await import("../../platform/settings/mod.ts");
  await updateConfigFile((await call.settings()).configPath, patch);
}

async function setHostname(call: Invocation): Promise<Outcome> {
  const hostname = parseHostname(call.arg(0, "hostname"));
  return await applyHostname(call, hostname);
}

async function applyHostname(call: Invocation, hostname: string): Promise<Outcome> {
  const reply = await (await call.driver()).registry.setHostname(hostname, { signal: call.signal });
  await remember(call, { hostname: hostname === "" ? undefined : hostname });
  return {
    data: { ...reply, hostname: reply.hostname ?? hostname },
    text: hostname === "" ? "Hostname cleared" : `Hostname is ${hostname}`,
  };
}

async function setTags(call: Invocation): Promise<Outcome> {
  if (call.args.length > MAX_TAGS) throw usageError(`At most ${MAX_TAGS} tags`);
  return await applyTags(call, call.args);
}

async function applyTags(call: Invocation, tags: readonly string[]): Promise<Outcome> {
  const reply = await (await call.driver()).registry.setTags(tags, { signal: call.signal });
  const data = { ...reply, tags: reply.tags ?? tags };
  return { data, text: tags.length === 0 ? "Tags cleared" : `Tags: ${tags.join(", ")}` };
}

async function setVisibility(call: Invocation, isPublic: boolean): Promise<Outcome> {
  const reply = await (await call.driver()).registry.setVisibility(isPublic, {
    signal: call.signal,
  });
  await remember(call, { public: isPublic });
  const visibility = isPublic ? "public" : "private";
  return {
    data: { ...reply, visibility: reply.visibility ?? visibility },
    text: `This node is ${visibility}`,
  };
}

async function deregister(call: Invocation): Promise<Outcome> {
  const reply = await (await call.driver()).registry.deregister({ signal: call.signal });
  return {
    data: reply,
    text: "Removed from the registry; the daemon registers again when it is restarted",
  };
}

/** The local node. */
export const nodeGroup: CommandGroup = {
  title: "This node",
  commands: [
    {
      name: "info",
      summary: "Show this node: address, peers, traffic, connections",
      examples: ["info", "info --json"],
      returns:
        "status, status_reasons[], node_id, address, hostname, version, uptime_secs, connections, ports, peers, encrypt, encrypted_peers, authenticated_peers, identity, public_key, networks[], bytes_sent, bytes_recv, pkts_sent, pkts_recv, handshake_pending_count, registry_warning, conn_list[], peer_list[]",
      run: info,
    },
    {
      name: "health",
      summary: "Show a short summary of the daemon's health",
      examples: ["health"],
      returns:
        "status (ok, degraded), status_reasons[], uptime_seconds, connections, peers, bytes_sent, bytes_recv",
      run: health,
    },
    {
      name: "peers",
      summary: "List the peers with a tunnel",
      options: [{
        flags: "--search <text>",
        description: "Only those whose node id or endpoint contains it",
      }],
      examples: ["peers", "peers --search 10.0."],
      returns:
        "peers[{node_id, endpoint, encrypted, authenticated, relay, rtt_ms, since_ms, path_mtu, mss}], total",
      run: peers,
    },
    {
      name: "path",
      summary: "Show how a peer is reached, what was tried, and why not directly",
      args: "<peer>",
      examples: ["path alice", "path 42 --json"],
      returns:
        "node_id, route, endpoint, kind, since_ms, rtt_ms, heard_ms, mode, reason_code, reason, next_search_ms, path_mtu, mss, candidates[{endpoint, kind, state, rtt_ms, sent, answered, last_sent_ms, last_answer_ms}]",
      run: path,
    },
    {
      name: "connections",
      summary: "List the stream connections",
      examples: ["connections"],
      returns: "connections[], total",
      run: connections,
    },
    {
      name: "find",
      summary: "Find a node by its hostname",
      args: "<hostname>",
      examples: ["find alice"],
      returns: "hostname, node_id, address, public",
      run: find,
    },
    {
      name: "lookup",
      summary: "Show what the registry publishes about a node",
      args: "<target>",
      examples: ["lookup 5", "lookup alice"],
      returns:
        "The registry's record: node_id, address, hostname, public_key, public, networks[], ...",
      run: lookup,
    },
    {
      name: "set-hostname",
      summary: "Set this node's hostname",
      args: "<hostname>",
      examples: ["set-hostname alice"],
      returns: "hostname, node_id",
      run: setHostname,
    },
    {
      name: "clear-hostname",
      summary: "Remove this node's hostname",
      examples: ["clear-hostname"],
      returns: 'hostname (""), node_id',
      run: (call) => applyHostname(call, ""),
    },
    {
      name: "set-tags",
      summary: "Replace this node's tags",
      args: "<tag...>",
      examples: ["set-tags translator gpu"],
      returns: "node_id, tags[]",
      run: setTags,
    },
    {
      name: "clear-tags",
      summary: "Remove this node's tags",
      examples: ["clear-tags"],
      returns: "node_id, tags ([])",
      run: (call) => applyTags(call, []),
    },
    {
      name: "set-public",
      summary: "Let strangers see and reach this node",
      examples: ["set-public"],
      returns: "node_id, visibility",
      run: (call) => setVisibility(call, true),
    },
    {
      name: "set-private",
      summary: "Let only trusted peers see and reach this node",
      examples: ["set-private"],
      returns: "node_id, visibility",
      run: (call) => setVisibility(call, false),
    },
    {
      name: "deregister",
      summary: "Remove this node from the registry",
      examples: ["deregister"],
      returns: "The registry's answer",
      run: deregister,
    },
  ],
};
