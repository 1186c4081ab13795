/**
 * What the registry remembers of a node.
 *
 * @module
 */

import { formatAddress } from "../../protocol/address.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { sourceOf } from "../../platform/net/source.ts";
import { RegistryFailure } from "./failure.ts";
import { KEY_EXPIRY_WARNING_SECONDS } from "./registry_limits.ts";
import { formatRfc3339 } from "./rfc3339.ts";

/**
 * Where a node is in its life: `live` while it heartbeats; `silent` after five minutes without (it keeps all it
 * set and gets it back by registering); `left` after it deregistered (number and key binding stay, nothing else).
 */
export type NodeState = "live" | "silent" | "left";

/** Where a node is and may be reached, as a registration says. */
export interface NodePlace {
  /** Reachable endpoint `ip:port`, or "" when the node gave none. */
  realAddr: string;
  lanAddrs: readonly string[];
  /** The node wants to be reached through relays: its endpoint is shown to nobody. */
  relayOnly: boolean;
}

/** One node. The fields change only inside `RegistryCore.change`. */
export interface NodeRecord extends NodePlace {
  /** Permanent number, from 1. */
  readonly id: number;
  /** Ed25519 public key, canonical base64. */
  key: string;
  /** The key came with a valid registration signature once, so every later registration needs one. */
  proven: boolean;
  /** It has signed a whole request once, so everything it signs must be signed so (protocol/registry/whole_signature.ts). */
  held: boolean;
  state: NodeState;
  /** Free text of the person behind the node; never grants anything. */
  owner: string;
  /**
   * What unsigned registrations said while the node was live elsewhere, by the address they came from: it holds from the
   * node's first signed request from there. Kept in memory.
   */
  pending: Map<string, NodePlace> | undefined;
  hostname: string;
  tags: readonly string[];
  public: boolean;
  taskExec: boolean;
  /** Software version as sent. */
  version: string;
  /** Last sign of life, clock `now`. */
  lastSeen: number;
  /** Unix seconds of the last state change to `silent` or `left`; 0 while live. */
  offlineSince: number;
  /** Unix seconds of the first registration of this key binding. */
  keyCreated: number;
  /** Unix seconds of the last rotation, 0 if none. */
  keyRotated: number;
  keyRotations: number;
  /** Reputation from tasks (docs/protocol/registry.md §4.7), from -1,000,000 to 1,000,000. */
  poloScore: number;
  /** Unix seconds from which the key is no longer good, 0 if never. Survives rotations and deregistering. */
  keyExpires: number;
  /** Id of an external identity, or "". */
  externalId: string;
  /** Trust pairs this node reported itself; kept in memory, recounted at load. */
  trustReports: number;
}

/**
 * Backbone address of a node.
 *
 * @param node Its number.
 * @returns Text form, network 0.
 */
export function backboneAddress(node: number): string {
  return formatAddress({ network: 0, node });
}

/**
 * Where a node registered from, for limits that are shared fairly.
 *
 * @param node The node.
 * @returns As `sourceOf`; "" when it is not known.
 */
export function sourceOfNode(node: NodeRecord | undefined): string {
  if (node === undefined || node.realAddr === "") return "";
  return sourceOf(parseEndpoint(node.realAddr).host).key;
}

/**
 * Age of a node's key.
 *
 * @param node The node.
 * @param nowSeconds Unix seconds.
 * @returns Whole days since the key was rotated or created.
 */
export function keyAgeDays(node: NodeRecord, nowSeconds: number): number {
  const since = node.keyRotated === 0 ? node.keyCreated : node.keyRotated;
  return Math.max(0, Math.floor((nowSeconds - since) / 86_400));
}

/**
 * Refuses a node whose key has expired.
 *
 * @param node The node.
 * @param nowSeconds Unix seconds.
 * @throws {RegistryFailure} Naming the time.
 */
export function refuseExpiredKey(node: NodeRecord, nowSeconds: number): void {
  if (node.keyExpires === 0 || nowSeconds < node.keyExpires) return;
  throw new RegistryFailure(
    "denied",
    `node ${node.id}: key expired at ${formatRfc3339(node.keyExpires)}`,
  );
}

/** Is the key good for less than a day? */
export function warnsOfExpiry(node: NodeRecord, nowSeconds: number): boolean {
  return node.keyExpires !== 0 && node.keyExpires - nowSeconds < KEY_EXPIRY_WARNING_SECONDS;
}

/** A node just registered, before its fields are set. */
export function newNode(
  id: number,
  key: string,
  now: { monotonicMs: number; seconds: number },
): NodeRecord {
  return {
    id,
    key,
    proven: false,
    held: false,
    state: "live",
    owner: "",
    realAddr: "",
    lanAddrs: [],
    relayOnly: false,
    pending: undefined,
    hostname: "",
    tags: [],
    public: false,
    taskExec: false,
    version: "",
    lastSeen: now.monotonicMs,
    offlineSince: 0,
    keyCreated: now.seconds,
    keyRotated: 0,
    keyRotations: 0,
    poloScore: 0,
    keyExpires: 0,
    externalId: "",
    trustReports: 0,
  };
}
