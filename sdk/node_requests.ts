/**
 * Requests about this node that need more than one call.
 *
 * @module
 */

import { type Address, parseAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { INFO, type IpcInfo, type IpcPingReply, PING } from "../protocol/ipc/mod.ts";
import type { WaitOptions } from "./abort.ts";
import { pingByEcho } from "./echo_ping.ts";
import type { Dialler } from "./messages.ts";
import type { Requester } from "./requester.ts";

/** Longest wait for a ping when the caller sets none, milliseconds. */
const PING_TIMEOUT_MS = 5_000;
/** Added to limits the daemon itself keeps, so that its answer arrives first, milliseconds. */
const MARGIN_MS = 2_000;

/** Our address on the backbone; `invalid_state` while there is none. */
export function ownAddress({ node_id, address }: IpcInfo): Address {
  if (node_id !== 0) return parseAddress(address);
  throw new PilotError("invalid_state", "The daemon has no address yet", {
    advice: { id: "await_registration" },
  });
}

/** See `Driver.ping`. */
export async function ping(
  driver: Dialler,
  requester: Requester,
  address: Address,
  { timeoutMs = PING_TIMEOUT_MS, signal }: WaitOptions,
): Promise<IpcPingReply> {
  if (requester.tagged) {
    return await requester.call(PING, { address, timeoutMs }, "Ping", {
      signal,
      timeoutMs: timeoutMs + MARGIN_MS,
    });
  }
  const rtt_ms = await pingByEcho(driver, address, { timeoutMs, signal });
  const { peer_list } = await requester.call(INFO, {}, "Reading the daemon's state", { signal });
  const relayed = peer_list?.some((peer) => peer.node_id === address.node && peer.relay);
  return { rtt_ms, relayed: relayed === true };
}
