/**
 * Trust pairs and waiting handshakes of a snapshot (docs/protocol/registry.md §6).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as v from "valibot";
import { MAX_INBOX, MAX_INBOX_TOTAL, MAX_JUSTIFICATION_BYTES } from "../registry_limits.ts";
import type { RequestRow, ResponseRow } from "../store/store.ts";
import { MAX_NODE_ID, type NodeImport } from "./import_nodes.ts";
import {
  BadRecord,
  FLAG,
  LIST,
  type Notes,
  numberOf,
  parseRecord,
  TEXT,
  TIME,
  whole,
} from "./record.ts";

const REQUEST = v.object({
  from_node_id: whole(1, MAX_NODE_ID),
  justification: v.pipe(
    TEXT,
    v.check(
      (text) => Buffer.byteLength(text) <= MAX_JUSTIFICATION_BYTES,
      `longer than ${MAX_JUSTIFICATION_BYTES} bytes`,
    ),
  ),
  timestamp: TIME,
});

const RESPONSE = v.object({
  from_node_id: whole(1, MAX_NODE_ID),
  accept: FLAG,
  timestamp: TIME,
});

/**
 * Checks `trust_pairs` and leaves them: existing servers make a pair of one side's statement and do not keep whose it
 * was. Both sides report their trust again when they register.
 *
 * @throws {BadRecord}
 */
export function leaveTrustPairs(
  pairs: readonly unknown[],
  nodes: NodeImport,
  notes: Notes,
): void {
  for (const pair of pairs) {
    const where = `trust pair ${typeof pair === "string" ? pair.slice(0, 32) : typeof pair}`;
    const [first, second, ...rest] = typeof pair === "string" ? pair.split(":") : [];
    if (first === undefined || second === undefined || rest.length > 0) {
      throw new BadRecord(where, "not two numbers");
    }
    const a = numberOf(first, MAX_NODE_ID, where);
    const b = numberOf(second, MAX_NODE_ID, where);
    if (a === b) throw new BadRecord(where, "both are the same node");
    nodes.refersTo(a, where);
    nodes.refersTo(b, where);
    notes.leave("trust pairs, which both nodes report again when they register", where);
  }
}

/** Reads `handshake_inbox`. @throws {BadRecord} */
export function requestRows(
  inboxes: Readonly<Record<string, unknown>>,
  nodes: NodeImport,
  notes: Notes,
): RequestRow[] {
  return inboxRows("handshake_inbox", inboxes, nodes, notes, (item, target, where) => {
    const { from_node_id: sender, justification, timestamp } = parseRecord(REQUEST, item, where);
    return { target, sender, justification, created: timestamp, message: "" };
  });
}

/** Reads `handshake_responses`. @throws {BadRecord} */
export function responseRows(
  inboxes: Readonly<Record<string, unknown>>,
  nodes: NodeImport,
  notes: Notes,
): ResponseRow[] {
  return inboxRows("handshake_responses", inboxes, nodes, notes, (item, target, where) => {
    const { from_node_id: sender, accept, timestamp } = parseRecord(RESPONSE, item, where);
    const answer = accept ? "accept" : "reject";
    return { target, sender, answer, created: timestamp, message: "" };
  });
}

/** Existing servers keep any number of answers, several of one sender too; here the last of each counts. */
function inboxRows<R extends { readonly sender: number }>(
  table: string,
  inboxes: Readonly<Record<string, unknown>>,
  nodes: NodeImport,
  notes: Notes,
  read: (item: unknown, target: number, where: string) => R,
): R[] {
  const rows: R[] = [];
  for (const name of Object.keys(inboxes)) {
    const where = `${table} ${name}`;
    const target = numberOf(name, MAX_NODE_ID, where);
    const isKnown = nodes.refersTo(target, where);
    const bySender = new Map<number, R>();
    for (const item of parseRecord(LIST, inboxes[name], where)) {
      const row = read(item, target, where);
      if (!nodes.refersTo(row.sender, where) || !isKnown) {
        notes.leave(`entries of ${table} of nodes without a key`, where);
        continue;
      }
      bySender.delete(row.sender); // so that the newest are last
      bySender.set(row.sender, row);
    }
    const room = Math.min(MAX_INBOX, MAX_INBOX_TOTAL - rows.length);
    const skipped = Math.max(0, bySender.size - room);
    for (let i = 0; i < skipped; i++) notes.leave(`entries of ${table} beyond the limits`, where);
    rows.push(...[...bySender.values()].slice(skipped));
  }
  return rows;
}
