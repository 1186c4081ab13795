/**
 * Who has changed what in the registry, and how: what is reported to those that keep a record of changes or
 * follow them (see `RegistryCore.onCommitted`).
 *
 * @module
 */

import type { StoreBatch } from "./store/store.ts";

/**
 * How a node has shown that it is the one: by a signature over the whole request, over the wire's text, or not at all,
 * where clients that do not sign are served.
 */
export type NodeProof = "whole" | "signature" | "none";

/** Who changes something. */
export type Actor =
  /** A node. */
  | { readonly kind: "node"; readonly node: number; readonly proof: NodeProof }
  /** The holder of the server's admin token. */
  | { readonly kind: "admin" }
  /** The holder of the admin token of a network. */
  | { readonly kind: "network_admin"; readonly network: number }
  /** Anyone: the wire asks for no proof and names no requester. */
  | { readonly kind: "anyone" }
  /** The registry itself, as time passes. */
  | { readonly kind: "registry" };

/** What is changed. */
export type ChangeTarget =
  | { readonly kind: "node"; readonly node: number }
  | { readonly kind: "network"; readonly network: number }
  /** A node's place in a network. */
  | { readonly kind: "member"; readonly network: number; readonly node: number }
  /** What `node` has said of `peer`. */
  | { readonly kind: "pair"; readonly node: number; readonly peer: number }
  /** All of it. */
  | { readonly kind: "registry" };

/** What is done; each is done in one place. */
export type ChangeAction =
  | `node.${"register" | "confirm" | "deregister" | "release_hold" | "rotate_key"}`
  | `node.${"set_key_expiry" | "set_hostname" | "set_visibility" | "set_tags"}`
  | `node.${"set_task_exec" | "set_polo_score"}`
  | `trust.${"report" | "revoke"}`
  | `handshake.${"request" | "poll" | "respond"}`
  | `network.${"create" | "join" | "leave" | "delete" | "rename" | "invite" | "respond_invite"}`
  | `network.${"set_join_token" | "set_enterprise" | "set_policy" | "set_expr_policy"}`
  | `network.${"kick" | "unban" | "promote" | "demote" | "set_member_tags" | "transfer"}`
  | "registry.pass_time";

/** One change. */
export interface ChangeRecord {
  readonly actor: Actor;
  readonly action: ChangeAction;
  readonly target: ChangeTarget;
}

/** What was made durable in one transaction. */
export interface CommittedBatch {
  /** From 1, one more each time, also over restarts. */
  readonly sequence: number;
  /** What was done, in order. What has changed nothing is not there. */
  readonly changes: readonly ChangeRecord[];
  /** What has come of it. */
  readonly rows: StoreBatch;
}

/** Called with each batch in order, when it is durable and before its requests are answered. Must not wait. */
export type CommitListener = (batch: CommittedBatch) => void;

/** A node as target. */
export function nodeTarget(node: number): ChangeTarget {
  return { kind: "node", node };
}

/** What a node has said of another one as target. */
export function pairTarget(node: number, peer: number): ChangeTarget {
  return { kind: "pair", node, peer };
}

/** A network as target. */
export function networkTarget(network: number): ChangeTarget {
  return { kind: "network", network };
}

/** A node's place in a network as target. */
export function memberTarget(network: number, node: number): ChangeTarget {
  return { kind: "member", network, node };
}
