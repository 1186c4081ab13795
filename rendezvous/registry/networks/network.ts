/**
 * What the registry remembers of a network and of a node's membership in it (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import { formatAddress } from "../../../protocol/address.ts";
import type { MemberRow, NetworkRow } from "../store/store.ts";
import type { Role } from "./role.ts";

/** The network every node is on. It has no record: it cannot be changed. */
export const BACKBONE = 0;
/** Its name, which no other network may have. */
export const BACKBONE_NAME = "backbone";

/** A membership. Never changed in place: a change is a new value. */
export interface Membership {
  /** Order of joining within the network, ascending, with gaps. */
  readonly position: number;
  /** "" where roles were dropped because the network is no enterprise network any more. */
  readonly role: Role | "";
  readonly tags: readonly string[];
}

/** Nobody's tags: shared, because most members have none. */
export const NO_TAGS: readonly string[] = [];

/** A network other than the backbone. The fields change only inside `RegistryCore.change`. */
export interface NetworkRecord extends Mutable<NetworkRow> {
  readonly id: number;
  /** By node number, in the order of joining. Changed by the `NetworkTable` only. */
  readonly members: Map<number, Membership>;
  /** `position` of the next member. */
  nextPosition: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What makes a new network; everything else begins empty. */
export type NetworkDraft =
  & Pick<NetworkRow, "name" | "joinRule" | "created">
  & Partial<Omit<NetworkRow, "id" | "name" | "joinRule" | "created">>;

/**
 * Makes a record without members.
 *
 * @param id Its number.
 * @param draft What is known of it.
 * @returns The record.
 */
export function newNetwork(id: number, draft: NetworkDraft): NetworkRecord {
  return {
    tokenHash: "",
    adminTokenHash: "",
    enterprise: false,
    maxMembers: 0,
    allowedPorts: [],
    description: "",
    rules: "",
    exprPolicy: "",
    ...draft,
    id,
    members: new Map(),
    nextPosition: 0,
  };
}

/** The record as it is stored. */
export function networkRow(network: NetworkRecord): NetworkRow {
  const { members: _members, nextPosition: _nextPosition, ...row } = network;
  return row;
}

/** A membership as it is stored. */
export function memberRow(network: number, node: number, membership: Membership): MemberRow {
  return { network, node, ...membership };
}

/** Text form of a node's address on a network. */
export function addressOn(network: number, node: number): string {
  return formatAddress({ network, node });
}

/** The owner of a network, if it has one. */
export function ownerOf(network: NetworkRecord): number | undefined {
  for (const [node, { role }] of network.members) if (role === "owner") return node;
  return undefined;
}

/** Who owns a network next: the admin, or else the member, who joined first; undefined where nobody is. */
export function heirOf(network: NetworkRecord): number | undefined {
  let first: number | undefined;
  for (const [node, { role }] of network.members) {
    if (role === "admin") return node;
    first ??= node;
  }
  return first;
}
