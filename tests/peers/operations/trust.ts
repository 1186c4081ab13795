/**
 * Getting to know each other, and parting.
 *
 * @module
 */

import assert from "node:assert/strict";
import { befriend, bothTrust, nodeOf, type Operation, until } from "./operation.ts";

/** What daemons write when their request was rejected. */
const REJECTED = {
  "ours": "handshake.rejected_by_peer",
  "v1.18": "handshake rejected via relay",
} as const;

/** Consent of one that was asked. */
export const CONSENT: readonly Operation[] = [
  {
    name: "handshake, justification, approve",
    run: async (from, to) => {
      await from.run("handshake", nodeOf(to), "from peers test");
      await until("the request waits", () => to.isAskedBy(from));
      const { pending } = await to.run("pending");
      assert.equal(pending[0].justification, "from peers test");
      await to.run("approve", nodeOf(from));
      await bothTrust(from, to);
    },
  },
];

/** Before any trust, in this order; none is left at the end. */
export const ACQUAINTANCE: readonly Operation[] = [
  {
    name: "find is refused to strangers",
    run: async (from, to) => {
      const { code } = await from.fails("find", to.agent.name);
      assert.equal(code, "not_found");
    },
  },
  {
    name: "handshake, reject: no trust",
    run: async (from, to) => {
      await from.run("handshake", nodeOf(to), "first try");
      await until("the request waits", () => to.isAskedBy(from));
      const before = (await from.agent.said(REJECTED[from.agent.kind])).length;
      await to.run("reject", nodeOf(from), "not today");
      // One that comes late would end the next request.
      await until(
        "the asker knows",
        async () => (await from.agent.said(REJECTED[from.agent.kind])).length > before,
      );
      assert.ok(!await to.trusts(from));
      assert.ok(!await from.trusts(to));
    },
  },
  ...CONSENT,
  {
    name: "untrust reaches the other side",
    run: async (from, to) => {
      await from.run("ping", nodeOf(to), "--count", "1");
      await from.run("untrust", nodeOf(to));
      await until("the other knows", async () => !await to.trusts(from));
    },
  },
];

/** Between peers that trust each other; they do so again at the end. */
export const RENEWAL: readonly Operation[] = [
  {
    name: "untrust, both ask again, ping both ways",
    run: async (from, to) => {
      await from.run("untrust", nodeOf(to));
      await befriend(from, to);
      await from.run("ping", nodeOf(to), "--count", "1");
      await to.run("ping", nodeOf(from), "--count", "1");
    },
  },
];
