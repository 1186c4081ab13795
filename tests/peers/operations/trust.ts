/**
 * Getting to know each other, and parting.
 *
 * @module
 */

import assert from "node:assert/strict";
import { befriend, bothTrust, nodeOf, type Operation, until } from "./operation.ts";

/** Before any trust, in this order; at the end both trust each other. */
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
      await to.run("reject", nodeOf(from), "not today");
      assert.ok(!await to.trusts(from));
      assert.ok(!await from.trusts(to));
    },
  },
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
