/**
 * Rows of the registry database as values, checked: a file may have been edited or damaged.
 *
 * @module
 */

import { isRole } from "../networks/role.ts";
import { MAX_POLO_SCORE } from "../registry_limits.ts";
import type { NodeState } from "../node_entry.ts";
import { ANSWERS } from "../handshake_answer.ts";
import { CONSENTS } from "../consent.ts";
import type {
  BanRow,
  InviteRow,
  MemberRow,
  NetworkRow,
  NodeRow,
  RequestRow,
  ResponseRow,
  TrustRow,
} from "./store.ts";

/** A row as the database gives it. */
export type Row = Record<string, unknown>;

/** Node states by their number in the database; published, so only ever extended. */
export const STATES: readonly NodeState[] = ["live", "silent", "left"];

/** A whole number from 0. Throws when it is none. */
export function whole(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new Error(`a number is missing or out of range (${String(value)})`);
  }
  return value;
}

function score(value: unknown): number {
  const size = whole(typeof value === "number" ? Math.abs(value) : value);
  if (size > MAX_POLO_SCORE) throw new Error(`a score is out of range (${String(value)})`);
  return Number(value);
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new Error("a text is missing");
  return value;
}

function texts(value: unknown): string[] {
  const list: unknown = JSON.parse(text(value));
  if (!Array.isArray(list)) throw new Error("a list is missing");
  return list.map(text);
}

/** The name behind a number in the database. */
function named<T extends string>(names: readonly T[], value: unknown): T {
  const name = names[whole(value)];
  if (name === undefined) throw new Error(`an unknown kind (${String(value)})`);
  return name;
}

/** A row of `nodes`. */
export function nodeRow(row: Row): NodeRow {
  const state = STATES[whole(row["state"])];
  if (state === undefined) throw new Error(`unknown node state ${String(row["state"])}`);
  return {
    id: whole(row["id"]),
    key: text(row["public_key"]),
    proven: row["proven"] === 1,
    held: row["held"] === 1,
    state,
    owner: text(row["owner"]),
    realAddr: text(row["real_addr"]),
    lanAddrs: texts(row["lan_addrs"]),
    relayOnly: row["relay_only"] === 1,
    hostname: text(row["hostname"]),
    tags: texts(row["tags"]),
    public: row["public"] === 1,
    taskExec: row["task_exec"] === 1,
    version: text(row["version"]),
    offlineSince: whole(row["offline_since"]),
    keyCreated: whole(row["key_created"]),
    keyRotated: whole(row["key_rotated"]),
    keyRotations: whole(row["key_rotations"]),
    poloScore: score(row["polo_score"]),
    keyExpires: whole(row["key_expires"]),
    externalId: text(row["external_id"]),
  };
}

/** A row of `trust`. */
export function trustRow(row: Row): TrustRow {
  return {
    low: whole(row["low"]),
    high: whole(row["high"]),
    byLow: named(CONSENTS, row["by_low"]),
    byHigh: named(CONSENTS, row["by_high"]),
  };
}

/** A row of `handshake_requests`. */
export function requestRow(row: Row): RequestRow {
  return {
    target: whole(row["target"]),
    sender: whole(row["sender"]),
    justification: text(row["justification"]),
    message: text(row["message"]),
    created: whole(row["created"]),
  };
}

/** A row of `handshake_responses`. */
export function responseRow(row: Row): ResponseRow {
  return {
    target: whole(row["target"]),
    sender: whole(row["sender"]),
    answer: named(ANSWERS, row["accept"]),
    message: text(row["message"]),
    created: whole(row["created"]),
  };
}

/** A row of `networks`. */
export function networkRow(row: Row): NetworkRow {
  const ports: unknown = JSON.parse(text(row["allowed_ports"]));
  if (!Array.isArray(ports)) throw new Error("a list is missing");
  return {
    id: whole(row["id"]),
    name: text(row["name"]),
    joinRule: text(row["join_rule"]),
    tokenHash: text(row["token_hash"]),
    adminTokenHash: text(row["admin_token_hash"]),
    enterprise: row["enterprise"] === 1,
    maxMembers: whole(row["max_members"]),
    allowedPorts: ports.map(whole),
    description: text(row["description"]),
    rules: json(row["rules"]),
    exprPolicy: json(row["expr_policy"]),
    created: whole(row["created"]),
  };
}

/** A JSON document that is handed out as it is, or "". */
function json(value: unknown): string {
  const document = text(value);
  if (document !== "") JSON.parse(document);
  return document;
}

/** A row of `members`. */
export function memberRow(row: Row): MemberRow {
  const role = text(row["role"]);
  if (role !== "" && !isRole(role)) throw new Error(`unknown role ${role}`);
  return {
    network: whole(row["network"]),
    node: whole(row["node"]),
    position: whole(row["position"]),
    role,
    tags: texts(row["tags"]),
  };
}

/** A row of `invites`. */
export function inviteRow(row: Row): InviteRow {
  return {
    target: whole(row["target"]),
    network: whole(row["network"]),
    inviter: whole(row["inviter"]),
    created: whole(row["created"]),
  };
}

/** A row of `bans`. */
export function banRow(row: Row): BanRow {
  return {
    network: whole(row["network"]),
    node: whole(row["node"]),
    created: whole(row["created"]),
  };
}
