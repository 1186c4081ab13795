/**
 * The list of beacons, and punching (docs/protocol/registry.md §4.6).
 *
 * @module
 */

import { COUNT, listOf, NODE, optional, TEXT } from "../registry_fields.ts";
import { record, type RegistryRequest } from "../request_schema.ts";
import type { NoFields } from "./common_schema.ts";

/** Fields of {@linkcode beaconRegister}. */
export interface BeaconRegisterFields {
  /** Number of the beacon, not 0. */
  beacon_id: number;
  /** `host:port`. */
  addr: string;
  /** Ours: when the code was made, unix milliseconds. */
  time?: number;
  /** Ours: proof of the cluster's token (docs/protocol/beacon.md §7). */
  token_code?: string;
}

/** Reply to {@linkcode beaconRegister}. */
export interface BeaconRegisterReply {
  /** Echoed. */
  beacon_id: number;
}

/** Lists a beacon for a minute. */
export const beaconRegister: RegistryRequest<BeaconRegisterFields, BeaconRegisterReply> = {
  type: "beacon_register",
  fields: { beacon_id: NODE, addr: TEXT, time: COUNT, token_code: TEXT },
  reply: { beacon_id: NODE },
};

/** A beacon. */
export interface ListedBeacon {
  /** Its number. */
  id: number;
  /** `host:port`. */
  addr: string;
}

/** Reply to {@linkcode beaconList}. */
export interface BeaconListReply {
  /** Those listed. */
  beacons: readonly ListedBeacon[];
  /** Ours: the registry's clock, unix milliseconds. */
  time?: number;
}

/** Asks for the beacons; anyone may. */
export const beaconList: RegistryRequest<NoFields, BeaconListReply> = {
  type: "beacon_list",
  fields: {},
  reply: { beacons: listOf(record<ListedBeacon>({ id: NODE, addr: TEXT })), time: optional(COUNT) },
};

/** Fields of {@linkcode punch}. */
export interface PunchFields {
  /** Who asks, one of the two. */
  requester_id: number;
  /** One side. */
  node_a: number;
  /** The other. */
  node_b: number;
}

/** Reply to {@linkcode punch}. */
export interface PunchReply {
  /** One side. */
  node_a: number;
  /** Its `host:port`, may be empty. */
  node_a_addr: string;
  /** The other. */
  node_b: number;
  /** Its `host:port`, may be empty. */
  node_b_addr: string;
}

/** Asks for the endpoints of two nodes. */
export const punch: RegistryRequest<PunchFields, PunchReply> = {
  type: "punch",
  fields: { requester_id: NODE, node_a: NODE, node_b: NODE },
  reply: { node_a: NODE, node_a_addr: TEXT, node_b: NODE, node_b_addr: TEXT },
  asker: "requester_id",
  text: ({ node_a, node_b }) => `punch:${node_a}:${node_b}`,
};
