/**
 * `netcheck`: what the network between us, registry and beacon lets through.
 *
 * @module
 */

import { DAEMON, type UdpKind } from "../../platform/settings/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { probeInfo } from "../daemon_process.ts";
import type { Invocation } from "../invocation.ts";
import {
  beaconFault,
  type DaemonReport,
  type FamilyReport,
  type NatMapping,
  type NatReport,
  type NetcheckReport,
  registryAdvice,
  type RegistryReport,
} from "../netcheck/netcheck_report.ts";
import { fields, formatMillis, type Outcome } from "../output.ts";
import { settingOption } from "../setting_options.ts";
import type { CommandSpec } from "../spec.ts";
import type { SafeText } from "../terminal_text.ts";

const MAPPINGS: Readonly<Record<NatMapping, string>> = {
  none: "none: others see this machine's own address",
  endpoint_independent: "endpoint-independent: direct paths work",
  not_port_dependent:
    "does not depend on the port (there is no second address to ask): direct paths are likely",
  address_dependent: "address-dependent: direct only to peers whose address is easy to reach",
  address_and_port_dependent:
    "address- and port-dependent: direct only to peers whose address is easy to reach",
  unknown: "mapping unknown: no second server answered",
};
/** Addresses of one kind that are shown; `--json` has all. */
const MAX_SHOWN = 8;
/** A clock difference above this is reported, milliseconds. */
const SKEW_MS = 1_000;

async function run(call: Invocation): Promise<Outcome> {
  const report = await gather(call);
  const text = netcheckText(report);
  if (report.udp) return { data: { ...report }, text };
  const { beacon, registry } = report;
  const fault = beaconFault(beacon);
  const isOffline = beacon.error === null && !registry.reachable;
  throw call.failure(
    "unavailable",
    `UDP does not reach the beacon ${beacon.address}: ${fault?.what}`,
    {
      data: { ...report },
      text,
      hint: isOffline
        ? "The registry does not answer either: check this machine's network, --registry and --beacon, and that the " +
          "rendezvous runs."
        : fault?.advice ?? "",
    },
  );
}

async function gather(call: Invocation): Promise<NetcheckReport> {
  const [{ netcheck }, { resolveDaemonOptions }, settings] = await Promise.all([
    import("../netcheck/netcheck.ts"),
    import("../../platform/settings/mod.ts"),
    call.settings(),
  ]);
  const options = resolveDaemonOptions(settings, { udp: call.options.text("udp") as UdpKind });
  const [report, info] = await Promise.all([
    netcheck({ ...options, signal: call.signal }),
    probeInfo(call, settings),
  ]);
  if (call.signal.aborted) throw new PilotError("aborted", "Interrupted");
  return { ...report, daemon: info === undefined ? null : daemonReport(info) };
}

function daemonReport(info: Record<string, unknown>): DaemonReport {
  const text = (key: string) => typeof info[key] === "string" ? info[key] : null;
  const proven = info.endpoint_proven;
  return {
    version: text("version"),
    registration: text("registration"),
    registry: text("registry"),
    beacon: text("beacon_addr"),
    endpoint: text("endpoint"),
    endpoint_proven: typeof proven === "boolean" ? proven : null,
    socket_kind: text("socket_kind"),
  };
}

/**
 * The report for people.
 *
 * @param report What was found.
 */
export function netcheckText(report: NetcheckReport): SafeText {
  const { registry, beacon, mtu, daemon } = report;
  return fields([
    ["UDP", report.udp ? "works" : "does not reach the beacon"],
    [
      "Registry",
      registry.reachable
        ? `${registry.address}, ${registry.tls ? "TLS" : "TCP"}, ${
          formatMillis(registry.rtt_ms)
        } (${formatMillis(registry.connect_ms)} to connect)`
        : registryFault(registry),
    ],
    [
      "Beacon",
      beacon.reachable
        ? `${beacon.address}, min ${formatMillis(beacon.rtt_min_ms)}, median ${
          formatMillis(beacon.rtt_median_ms)
        }, ${beacon.answered}/${beacon.sent} answered`
        : `${beacon.address} does not answer`,
    ],
    ["IPv4", familyText(report.ipv4)],
    ["IPv6", familyText(report.ipv6)],
    ["NAT", natText(report.nat)],
    ["MTU", mtu.bytes === null ? `unknown: ${mtu.note}` : mtuText(mtu.bytes, mtu.note)],
    ["Clock", skewText(registry.skew_ms)],
    ["Daemon", daemon === null ? "not running" : daemonText(daemon)],
    // A failure already ends with advice.
    ["Next step", report.udp ? registryAdvice(registry) : undefined],
  ]);
}

function registryFault({ address, error }: RegistryReport): string {
  return error?.includes(address) ? error : `${address} not reachable: ${error}`;
}

function familyText({ local, beacon, reachable, reflexive }: FamilyReport): string {
  const shown = local.slice(0, MAX_SHOWN).join(", ");
  const more = local.length > MAX_SHOWN ? ` and ${local.length - MAX_SHOWN} more` : "";
  const addresses = local.length === 0 ? "no address of its own" : `${shown}${more}`;
  if (beacon === null) return `${addresses}; the beacon has no such address`;
  return reachable ? `seen as ${reflexive}; ${addresses}` : `no answer; ${addresses}`;
}

function natText({ behind, mapping, port_preserved }: NatReport): string {
  if (behind === null) return "unknown";
  if (!behind) return MAPPINGS.none;
  return `${MAPPINGS[mapping]}; ${port_preserved ? "keeps the port" : "changes the port"}`;
}

function mtuText(bytes: number, note: string | null): string {
  return `${bytes} bytes to the beacon${note === null ? "" : ` (${note})`}`;
}

function skewText(skew: number | null): string {
  if (skew === null) return "not reported by the registry";
  if (Math.abs(skew) < SKEW_MS) return "agrees with the registry's";
  return `${formatMillis(Math.abs(skew))} ${skew > 0 ? "behind" : "ahead of"} the registry's`;
}

function daemonText({ endpoint, endpoint_proven, registration }: DaemonReport): string {
  const proof = endpoint_proven === null ? "" : endpoint_proven ? ", proven" : ", not proven";
  const isKnown = endpoint !== null && !/^(?:0\.0\.0\.0|\[::\]):/.test(endpoint); // nobody has seen that one
  return `${registration ?? "running"}, ${
    isKnown ? `seen as ${endpoint}${proof}` : "not seen by the beacon"
  }`;
}

/** The command. */
export const netcheckCommand: CommandSpec = {
  name: "netcheck",
  summary: "Show what the network lets through: registry, UDP, NAT, MTU; needs no daemon",
  options: settingOption({ ...DAEMON.udp, help: "UDP socket, portable cannot find the MTU" }),
  examples: ["netcheck", "netcheck --registry 192.0.2.1:9000 --beacon 192.0.2.1:9001 --json"],
  returns:
    "udp, registry{}, beacon{}, ipv4{}, ipv6{}, nat{}, mtu{}, daemon{}, duration_ms; fails with `unavailable` when UDP does not work; docs/TROUBLESHOOTING.md explains each field",
  run,
};
