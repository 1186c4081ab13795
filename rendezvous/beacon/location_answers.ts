/**
 * The answers of a beacon that say where a node is.
 *
 * @module
 */

import { encodeBeacon } from "../../protocol/beacon/beacon_message.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import type { Source } from "../../platform/net/source.ts";
import type { Mapping } from "./mappings.ts";

/** A datagram to send. */
export interface Outgoing {
  /** Valid until the next datagram is received: it may be a view of the one before. */
  readonly bytes: Uint8Array;
  readonly to: Endpoint;
}

/** Where and when a datagram came from. */
export interface Arrival {
  readonly from: Endpoint;
  readonly source: Source;
  /** Monotonic milliseconds. */
  readonly now: number;
}

/** Reports a node's endpoint to it. */
export function observed({ from, source }: Arrival): Outgoing {
  const bytes = encodeBeacon({ type: "discover_reply", ip: source.bytes, port: from.port });
  return { bytes, to: from };
}

/** Reports to `to` where `about` is. */
export function command(to: Mapping, about: Mapping): Outgoing {
  const { bytes: ip } = about.source;
  return {
    bytes: encodeBeacon({ type: "punch_command", ip, port: about.addr.port }),
    to: to.addr,
  };
}
