/**
 * Networks and invitations of a snapshot (docs/protocol/registry.md §6).
 *
 * @module
 */

import * as v from "valibot";
import {
  INVITE_TTL_SECONDS,
  MAX_INVITES,
  MAX_INVITES_TOTAL,
  MAX_JOIN_RULE,
  MAX_MEMBERS,
  MAX_MEMBERSHIPS,
  MAX_NETWORK_ID,
  MAX_NETWORKS_PER_NODE,
} from "../networks/network_limits.ts";
import { checkMemberTags, checkNetworkName } from "../networks/network_names.ts";
import { BACKBONE } from "../networks/network.ts";
import { cleanExprPolicy, policyChange } from "../networks/policy_document.ts";
import { isRole, type Role } from "../networks/role.ts";
import { cleanRules } from "../networks/rules.ts";
import { hashToken } from "../networks/tokens.ts";
import type { InviteRow, MemberRow, NetworkRow } from "../store/store.ts";
import { MAX_NODE_ID, type NodeImport } from "./import_nodes.ts";
import {
  BadRecord,
  checkedAs,
  FLAG,
  LIST,
  type Notes,
  numberOf,
  parseRecord,
  TABLE,
  TEXT,
  TEXTS,
  TIME,
  whole,
} from "./record.ts";

const NETWORK = v.object({
  id: whole(0, MAX_NETWORK_ID),
  name: v.string(),
  join_rule: v.pipe(v.nullish(v.string(), "open"), v.maxLength(MAX_JOIN_RULE)),
  token: TEXT,
  admin_token: TEXT,
  members: v.nullish(v.array(whole(1, MAX_NODE_ID)), []),
  member_roles: TABLE,
  member_tags: TABLE,
  policy: TABLE,
  rules: v.optional(v.unknown()),
  expr_policy: v.optional(v.unknown()),
  enterprise: FLAG,
  created: TIME,
});

type SnapshotNetwork = v.InferOutput<typeof NETWORK>;

const INVITE = v.object({
  network_id: whole(0, MAX_NETWORK_ID),
  inviter_id: whole(0, MAX_NODE_ID),
  timestamp: TIME,
});

/** The networks of a snapshot. */
export class NetworkImport {
  readonly networks: NetworkRow[] = [];
  readonly members: MemberRow[] = [];
  readonly invites: InviteRow[] = [];
  readonly #nextNetwork: number;
  readonly #nodes: NodeImport;
  readonly #notes: Notes;
  readonly #ids: Set<number> = new Set();
  readonly #names: Map<string, number> = new Map();
  readonly #perNode: Map<number, number> = new Map();

  /**
   * @param nextNetwork Number that the next new network gets.
   * @param nodes All nodes.
   * @param notes Counts what is left out.
   */
  constructor(nextNetwork: number, nodes: NodeImport, notes: Notes) {
    this.#nextNetwork = nextNetwork;
    this.#nodes = nodes;
    this.#notes = notes;
  }

  /** Takes over `networks`; the backbone is everybody's and has no record. @throws {BadRecord} */
  addNetworks(networks: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(networks)) {
      const where = `network ${name}`;
      const id = numberOf(name, MAX_NETWORK_ID, where);
      if (id === BACKBONE) continue;
      const network = parseRecord(NETWORK, networks[name], where);
      if (network.id !== id) throw new BadRecord(where, `its id is ${network.id}`);
      this.networks.push(this.#row(network, where));
      this.#addMembers(network, where);
    }
  }

  #row(network: SnapshotNetwork, where: string): NetworkRow {
    const { id, name } = network;
    if (id >= this.#nextNetwork) {
      throw new BadRecord(where, `its number is not below next_net ${this.#nextNetwork}`);
    }
    checkedAs(where, () => checkNetworkName(name));
    const namesake = this.#names.get(name);
    if (namesake !== undefined) {
      throw new BadRecord(where, `its name belongs to network ${namesake}, too`);
    }
    this.#ids.add(id);
    this.#names.set(name, id);
    const { rules, expr_policy: exprPolicy } = network;
    const policy = checkedAs(where, () => policyChange(network.policy));
    return {
      id,
      name,
      joinRule: network.join_rule,
      tokenHash: hashToken(network.token),
      adminTokenHash: hashToken(network.admin_token),
      enterprise: network.enterprise,
      maxMembers: policy.maxMembers ?? 0,
      allowedPorts: policy.allowedPorts ?? [],
      description: policy.description ?? "",
      rules: checkedAs(where, () => cleanRules(rules)),
      exprPolicy: exprPolicy === undefined || exprPolicy === null
        ? ""
        : checkedAs(where, () => cleanExprPolicy(exprPolicy)),
      created: network.created,
    };
  }

  #addMembers(network: SnapshotNetwork, where: string): void {
    const { id, members, member_roles: roles, member_tags: tags } = network;
    if (members.length > MAX_MEMBERS) {
      throw new BadRecord(where, `more than ${MAX_MEMBERS} members`);
    }
    const isLegacy = Object.keys(roles).length === 0;
    const seen = new Set<number>();
    for (const node of members) {
      const member = `${where}: member ${node}`;
      if (seen.has(node)) throw new BadRecord(member, "is there twice");
      if (!this.#nodes.refersTo(node, where)) {
        this.#notes.leave("members without a key", member);
        continue;
      }
      const position = seen.size;
      seen.add(node);
      this.#countMembership(node, member);
      // Snapshots from before there were roles: the first member is the owner.
      const role = isLegacy ? (position === 0 ? "owner" : "member") : roleOf(roles, node, member);
      this.members.push({ network: id, node, position, role, tags: tagsOf(tags, node, member) });
    }
  }

  #countMembership(node: number, member: string): void {
    const count = (this.#perNode.get(node) ?? 0) + 1;
    if (count > MAX_NETWORKS_PER_NODE) {
      throw new BadRecord(member, `the node is in more than ${MAX_NETWORKS_PER_NODE} networks`);
    }
    if (this.members.length >= MAX_MEMBERSHIPS) {
      throw new BadRecord(member, `more than ${MAX_MEMBERSHIPS} members in all`);
    }
    this.#perNode.set(node, count);
  }

  /** Takes over `invite_inbox`, without what has expired. @throws {BadRecord} */
  addInvites(inboxes: Readonly<Record<string, unknown>>, now: number): void {
    for (const name of Object.keys(inboxes)) {
      const where = `invite_inbox ${name}`;
      const target = numberOf(name, MAX_NODE_ID, where);
      const isKnown = this.#nodes.refersTo(target, where);
      const waiting = new Map<number, InviteRow>();
      for (const item of parseRecord(LIST, inboxes[name], where)) {
        const invite = parseRecord(INVITE, item, where);
        const { network_id: network, inviter_id: inviter, timestamp: created } = invite;
        if (now - created > INVITE_TTL_SECONDS) this.#notes.leave("expired invites", where);
        else if (!isKnown || !this.#ids.has(network)) {
          this.#notes.leave("invites of or to what is gone", where);
        } else waiting.set(network, { target, network, inviter, created });
      }
      for (const invite of waiting.values()) this.#addInvite(invite, waiting.size, where);
    }
  }

  #addInvite(invite: InviteRow, waiting: number, where: string): void {
    if (waiting > MAX_INVITES) throw new BadRecord(where, `more than ${MAX_INVITES} invites`);
    if (this.invites.length >= MAX_INVITES_TOTAL) {
      throw new BadRecord(where, `more than ${MAX_INVITES_TOTAL} invites in all`);
    }
    this.invites.push(invite);
  }
}

function roleOf(
  roles: Readonly<Record<string, unknown>>,
  node: number,
  where: string,
): Role | "" {
  const role = Object.hasOwn(roles, node) ? roles[node] : undefined;
  if (role === undefined || role === "") return "";
  if (typeof role !== "string" || !isRole(role)) throw new BadRecord(where, "unknown role");
  return role;
}

function tagsOf(tags: Readonly<Record<string, unknown>>, node: number, where: string): string[] {
  const sent = parseRecord(TEXTS, Object.hasOwn(tags, node) ? tags[node] : undefined, where);
  checkedAs(where, () => checkMemberTags(sent));
  return sent;
}
