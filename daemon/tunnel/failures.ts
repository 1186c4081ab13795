/**
 * Why there is no tunnel, in words for the one who wanted it.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { MAX_PEERS } from "../../protocol/tunnel/tunnel_limits.ts";

/** We are nobody yet. */
export function noOwnAddress(): PilotError {
  return new PilotError("unavailable", "This daemon has no address yet", {
    advice: { id: "await_registration" },
  });
}

/** The table of peers is full of proven ones. */
export function noRoom(node: number): PilotError {
  return new PilotError("limit_exceeded", `No room for a tunnel to node ${node}`, {
    hint: `At most ${MAX_PEERS} peers are connected at a time.`,
  });
}

/** Neither an endpoint nor a relay. */
export function noAddress(node: number): PilotError {
  return new PilotError("connection_failed", `Node ${node} has no real address`, {
    hint: "It must be online and registered; try again later.",
  });
}

/** So many exchanges run that another one must wait. */
export function tooManyExchanges(node: number): PilotError {
  return new PilotError("limit_exceeded", `Too many pending key exchanges (node ${node})`, {
    hint: "Try again in a few seconds.",
  });
}
