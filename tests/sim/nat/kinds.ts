/**
 * Kinds of network an agent may sit in, as data, and which of them can reach each other directly.
 *
 * @module
 */

import type { FirewallRules } from "./firewall.ts";
import type { NatBehavior } from "./nat_box.ts";
import { BEACON_V4, BEACON_V6 } from "./beacon_host.ts";

/** What matters of a kind for a direct path. */
export interface Traits {
  /** Everybody sees the same endpoint of it. */
  readonly isStable: boolean;
  /** Which part of its address somebody must have been sent something to to come in. */
  readonly admits: "anybody" | "address" | "endpoint" | "nobody";
  /** It may send first. */
  readonly maySendFirst: boolean;
}

/** A kind of network. */
export interface Kind {
  readonly name: string;
  readonly family: 4 | 6;
  /** Boxes on the way in, from the Internet on. */
  readonly boxes: readonly NatBehavior[];
  readonly firewall?: FirewallRules;
  /** The innermost box sends what comes to the agent's port to it; only with one box. */
  readonly isForwarded?: boolean;
  readonly traits: Traits;
}

const EXEMPT = [BEACON_V4.host, BEACON_V6.host];
const OPEN: Traits = { isStable: true, admits: "anybody", maySendFirst: true };
const PORT: NatBehavior = { mapping: "independent", filtering: "port" };
const SYMMETRIC: NatBehavior = { mapping: "port", filtering: "port", ports: "random" };

function kind(name: string, traits: Partial<Traits>, setup: Partial<Kind> = {}): Kind {
  return { name, family: 4, boxes: [], ...setup, traits: { ...OPEN, ...traits } };
}

/** Every kind of the matrix. */
export const KINDS = {
  public: kind("public", {}),
  fullCone: kind("full cone", {}, {
    boxes: [{ mapping: "independent", filtering: "independent" }],
  }),
  forwarded: kind("forwarded", {}, { boxes: [SYMMETRIC], isForwarded: true }),
  address: kind("address-restricted", { admits: "address" }, {
    boxes: [{ mapping: "independent", filtering: "address", ports: "random" }],
  }),
  port: kind("port-restricted", { admits: "endpoint" }, { boxes: [PORT] }),
  symmetric: kind("symmetric", { isStable: false, admits: "endpoint" }, { boxes: [SYMMETRIC] }),
  cgnat: kind("cgnat eim", { admits: "endpoint" }, {
    boxes: [{ ...PORT, filtering: "independent", ports: "random" }, PORT],
  }),
  cgnatSymmetric: kind("cgnat sym", { isStable: false, admits: "endpoint" }, {
    boxes: [SYMMETRIC, PORT],
  }),
  blocked: kind("beacon only", { admits: "nobody", maySendFirst: false }, {
    firewall: { outbound: "none", inbound: "none", exempt: EXEMPT },
  }),
  outbound: kind("outbound", { admits: "endpoint" }, {
    firewall: { outbound: "any", inbound: "answers" },
  }),
  inbound: kind("inbound", { maySendFirst: false }, {
    firewall: { outbound: "answers", inbound: "any", exempt: EXEMPT },
  }),
  ipv6: kind("ipv6", {}, { family: 6 }),
  ipv6Firewall: kind("ipv6 outbound", { admits: "endpoint" }, {
    family: 6,
    firewall: { outbound: "any", inbound: "answers" },
  }),
} as const satisfies Record<string, Kind>;

/** Whether two agents in different networks of these kinds can find a direct path without guessing ports. */
export function canBeDirect(a: Kind, b: Kind): boolean {
  return a.family === b.family && (canOpen(a.traits, b.traits) || canOpen(b.traits, a.traits));
}

/** Something of `from` gets in at `to`, and the answer back. */
function canOpen(from: Traits, to: Traits): boolean {
  if (!from.maySendFirst || from.admits === "nobody") return false;
  const isAnswerable = to.isStable || from.admits !== "endpoint";
  switch (to.admits) {
    case "anybody":
      return isAnswerable;
    case "address":
      return to.isStable && to.maySendFirst;
    case "endpoint":
      return to.isStable && to.maySendFirst && from.isStable;
    case "nobody":
      return false;
  }
}
