/**
 * `GET /metrics` (docs/protocol/registry.md §7): the families that this server has something to say about.
 *
 * @module
 */

import { MetricSet, type Sample } from "../../platform/http/metric_set.ts";
import { type BeaconHealth, newBeaconCounters } from "../beacon/beacon_counters.ts";
import { DURATION_BOUNDS, type RequestCounts } from "../registry/counters.ts";
import type { NetworkRecord } from "../registry/networks/network.ts";
import type { Role } from "../registry/networks/role.ts";
import type { View } from "../view.ts";

/** Networks with metrics of their own: each costs five time series in the monitoring system. The oldest are shown. */
export const MAX_NETWORK_SERIES = 1_000;

/** Counters that are the successes of one request. */
const SUCCESSES: readonly (readonly [name: string, type: string, help: string])[] = [
  ["registrations", "register", "Registrations, repeated ones included."],
  ["deregistrations", "deregister", "Nodes that deregistered."],
  ["trust_reports", "report_trust", "Trust reports."],
  ["trust_revocations", "revoke_trust", "Trust revocations."],
  ["handshake_requests", "request_handshake", "Handshake requests relayed."],
  ["key_rotations", "rotate_key", "Keys replaced by their nodes."],
  ["invites_sent", "invite_to_network", "Invitations to networks."],
];
const RBAC_OPERATIONS: readonly (readonly [op: string, type: string])[] = [
  ["kick", "kick_member"],
  ["promote", "promote_member"],
  ["demote", "demote_member"],
  ["transfer_ownership", "transfer_ownership"],
];
const POLICY_REQUESTS: readonly string[] = ["set_network_policy", "set_expr_policy"];

/** The metrics of one rendezvous. */
export class RendezvousMetrics extends MetricSet {
  readonly #view: View;

  /** @param view The rendezvous. */
  constructor(view: View) {
    super();
    this.#view = view;
    this.#requests();
    this.#nodes();
    this.#networks();
    this.#beacon();
  }

  #requests(): void {
    const { counters } = this.#view.core;
    const each = (value: (counts: RequestCounts) => number) => () =>
      [...counters.entries()].map(([type, counts]): Sample => [{ type }, value(counts)]);
    this.counters(
      "requests",
      "Requests answered, by type.",
      ["type"],
      each(({ requests }) => requests),
    );
    this.counters(
      "errors",
      "Requests answered with an error, by type.",
      ["type"],
      each(({ errors }) => errors),
    );
    this.durations(
      "request_duration",
      "Time to answer, waiting for the store included.",
      DURATION_BOUNDS,
      () =>
        [...counters.entries()].map(([type, counts]) =>
          [type, { ...counts, count: counts.requests }] as const
        ),
    );
    for (const [name, type, help] of SUCCESSES) {
      this.counters(name, help, [], () => [[{}, counters.succeeded(type)]]);
    }
    const { invites } = counters;
    this.counters("invites_accepted", "Invitations accepted.", [], () => [[{}, invites.accepted]]);
    this.counters("invites_rejected", "Invitations declined.", [], () => [[{}, invites.rejected]]);
    const { tokens } = this.#view.core;
    const { instances } = this.#view.core;
    this.counters("identity_clashes", "Nodes found to be run by two processes.", [], () => [
      [{}, instances.clashes],
    ]);
    this.counters(
      "wrong_tokens",
      "Wrong tokens, and attempts refused after too many of them.",
      ["kind"],
      () => Object.entries(tokens.counts).map(([kind, count]): Sample => [{ kind }, count]),
    );
    this.counters(
      "rbac_operations",
      "Changes of roles in networks.",
      ["op"],
      () => RBAC_OPERATIONS.map(([op, type]): Sample => [{ op }, counters.succeeded(type)]),
    );
    this.counters("policy_changes", "Network policies set.", [], () => [
      [{}, POLICY_REQUESTS.reduce((sum, type) => sum + counters.succeeded(type), 0)],
    ]);
  }

  #nodes(): void {
    const { core } = this.#view;
    this.gauge("nodes_online", "Nodes that heartbeat.", () => core.nodes.liveCount);
    this.gauge("nodes_total", "Nodes known, silent ones included.", () => core.nodes.size);
    this.gauge("trust_links", "Trust pairs.", () => core.trust.size);
    this.gauge("task_executors", "Online nodes that execute tasks.", () => {
      let count = 0;
      for (const node of core.nodes.liveNodes()) if (node.taskExec) count++;
      return count;
    });
    this.gauge("uptime_seconds", "Seconds since the start.", () => this.#view.uptimeSeconds);
    this.gauge("connections", "Open connections to the registry.", () => this.#view.connections);
    this.gauge(
      "http_connections",
      "Open connections to health and metrics, this one included.",
      () => this.#view.httpConnections,
    );
    this.gauge("store_writable", "0 while changes are refused.", () => Number(core.isWritable));
  }

  #networks(): void {
    const { core } = this.#view;
    const { networks } = core;
    this.gauge("networks_total", "Networks besides the backbone.", () => networks.size);
    this.gauge("networks_enterprise", "Enterprise networks.", () => {
      let count = 0;
      for (const { enterprise } of networks.all()) if (enterprise) count++;
      return count;
    });
    this.gauge("invites_pending", "Invitations that wait.", () => core.invites.size);
    const holders = (role: Role) => ({ members }: NetworkRecord) => {
      let count = 0;
      for (const member of members.values()) if (member.role === role) count++;
      return count;
    };
    this.#perNetwork("members", "Members.", ({ members }) => members.size);
    this.#perNetwork("admins", "Members that are admins.", holders("admin"));
    this.#perNetwork("owners", "Members that are owners.", holders("owner"));
    this.#perNetwork("enterprise", "1 for an enterprise network.", (it) => Number(it.enterprise));
    this.#perNetwork(
      "policy_set",
      "1 when a policy is set.",
      (it) => Number(it.maxMembers > 0 || it.allowedPorts.length > 0 || it.description !== ""),
    );
  }

  #perNetwork(name: string, help: string, value: (network: NetworkRecord) => number): void {
    const { networks } = this.#view.core;
    this.gauges(`network_${name}`, help, ["network"], () => {
      const samples: Sample[] = [];
      for (const network of networks.all()) {
        if (samples.length === MAX_NETWORK_SERIES) break;
        samples.push([{ network: network.name }, value(network)]);
      }
      return samples;
    });
  }

  #beacon(): void {
    const view = this.#view;
    const counted: readonly string[] = Object.keys(newBeaconCounters());
    for (const name of Object.keys(view.beacon()) as (keyof BeaconHealth)[]) {
      const value = () => view.beacon()[name];
      const help = `Beacon: ${name.replaceAll("_", " ")}.`;
      if (counted.includes(name)) this.counters(`beacon_${name}`, help, [], () => [[{}, value()]]);
      else this.gauge(`beacon_${name}`, help, value);
    }
  }
}
