/**
 * The snapshot of an existing registry (docs/protocol/registry.md §6) as rows of our store.
 *
 * @module
 */

import { createHash } from "node:crypto";
import * as v from "valibot";
import { MAX_NETWORK_ID } from "../networks/network_limits.ts";
import type { StoreBatch } from "../store/store.ts";
import { NetworkImport } from "./import_networks.ts";
import { MAX_NODE_ID, NodeImport } from "./import_nodes.ts";
import { LIST, Notes, parseRecord, TABLE, whole } from "./record.ts";
import { leaveTrustPairs, requestRows, responseRows } from "./import_relations.ts";

/** Newest version of the format; the first one did not say which it was. */
const SNAPSHOT_VERSION = 1;
/** `,"checksum":"<64 hex digits>"}`, and perhaps a line end that an editor added. */
const CHECKSUM_TAIL = /,"checksum":"([0-9a-f]{64})"\}\s*$/;
/** Bytes at the end that are looked at for it. */
const TAIL_BYTES = 128;

const SNAPSHOT = v.object({
  version: v.nullish(whole(0, SNAPSHOT_VERSION), 0),
  next_node: whole(1, MAX_NODE_ID + 1),
  next_net: v.nullish(whole(0, MAX_NETWORK_ID + 1), 1),
  nodes: TABLE,
  networks: TABLE,
  trust_pairs: LIST,
  pub_key_idx: TABLE,
  handshake_inbox: TABLE,
  handshake_responses: TABLE,
  invite_inbox: TABLE,
});

/** Settings and records that this registry has no place for; statistics are left out silently. */
const NOT_TAKEN_OVER = ["rbac_pre_assign", "idp_config", "audit_export_config", "audit_log"];

/** A snapshot in the form of our store. */
export interface ConvertedSnapshot {
  /** Everything, for one commit. */
  readonly batch: StoreBatch;
  /** Records by kind. */
  readonly counts: Record<string, number>;
  /** What was left out, one sentence each. */
  readonly warnings: string[];
}

/**
 * Checks the checksum by the text of the file, as it was made.
 *
 * @param bytes The file.
 * @returns `missing` when it is not where it belongs, at the end.
 */
export function verifyChecksum(bytes: Uint8Array): "good" | "wrong" | "missing" {
  const start = Math.max(0, bytes.length - TAIL_BYTES);
  const tail = new TextDecoder("latin1").decode(bytes.subarray(start));
  const match = CHECKSUM_TAIL.exec(tail);
  if (match === null) return "missing";
  const digest = createHash("sha256").update(bytes.subarray(0, start + match.index)).update("}")
    .digest("hex");
  return digest === match[1] ? "good" : "wrong";
}

/**
 * Makes rows of a snapshot.
 *
 * @param document What the file holds, parsed.
 * @param now Unix seconds.
 * @returns The rows; they do not contradict each other.
 * @throws {BadRecord} Naming the first record that makes no sense.
 */
export function convertSnapshot(document: unknown, now: number): ConvertedSnapshot {
  const snapshot = parseRecord(SNAPSHOT, document, "snapshot");
  const notes = new Notes();
  const nodes = new NodeImport(snapshot.next_node, now, notes);
  nodes.addNodes(snapshot.nodes);
  const live = nodes.rows.length;
  nodes.addKeys(snapshot.pub_key_idx);
  const nextNetwork = Math.max(1, snapshot.next_net);
  const networks = new NetworkImport(nextNetwork, nodes, notes);
  networks.addNetworks(snapshot.networks);
  networks.addInvites(snapshot.invite_inbox, now);
  leaveTrustPairs(snapshot.trust_pairs, nodes, notes);
  const batch: StoreBatch = {
    sequence: 1,
    nextNode: snapshot.next_node,
    nodes: nodes.rows,
    trust: [],
    trustRemoved: [],
    requests: requestRows(snapshot.handshake_inbox, nodes, notes),
    requestsRemoved: [],
    responses: responseRows(snapshot.handshake_responses, nodes, notes),
    responsesRemoved: [],
    nextNetwork,
    networks: networks.networks,
    networksRemoved: [],
    members: networks.members,
    membersRemoved: [],
    invites: networks.invites,
    invitesRemoved: [],
    bans: [],
    bansRemoved: [],
  };
  const counts = {
    nodes: live,
    silent_nodes: nodes.rows.length - live,
    networks: batch.networks.length,
    members: batch.members.length,
    invites: batch.invites.length,
    handshake_requests: batch.requests.length,
    handshake_responses: batch.responses.length,
  };
  return { batch, counts, warnings: [...notes.warnings, ...notTakenOver(document)] };
}

function notTakenOver(document: unknown): string[] {
  const content = new Map(Object.entries(Object(document)));
  return NOT_TAKEN_OVER.filter((name) => {
    const value: unknown = content.get(name);
    return typeof value === "object" && value !== null && Object.keys(value).length > 0;
  }).map((name) => `${name} is not taken over`);
}
