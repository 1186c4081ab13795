/**
 * What the registry knows of peers that trust each other.
 *
 * @module
 */

import assert from "node:assert/strict";
import { nodeOf, type Operation, until } from "./operation.ts";

/** All of them. */
export const REGISTRY: readonly Operation[] = [
  {
    name: "info names node, address, hostname",
    run: async (from) => {
      const info = await from.run("info");
      const { node, address, name } = from.agent;
      assert.deepEqual([info.node_id, info.address, info.hostname], [node, address, name]);
      assert.equal((info.networks ?? []).length, 0);
    },
  },
  {
    name: "find by name",
    run: async (from, to) => {
      const { node_id, address } = await from.run("find", to.agent.name);
      assert.deepEqual([node_id, address], [to.agent.node, to.agent.address]);
    },
  },
  {
    name: "lookup",
    run: async (from, to) => {
      assert.equal((await from.run("lookup", nodeOf(to))).node_id, to.agent.node);
    },
  },
  {
    name: "ping by name",
    run: async (from, to) => {
      const { results } = await from.run("ping", to.agent.name, "--count", "2");
      assert.equal(results.length, 2);
      for (const { rtt_ms } of results) assert.ok(rtt_ms > 0);
    },
  },
  {
    name: "set-hostname, find under the new name, back",
    run: async (from, to) => {
      const name = `${to.agent.name}-renamed`;
      await to.run("set-hostname", name);
      await until("the new name is found", async () => {
        const { code } = await from.agent.cli(from.cli, "find", name);
        return code === 0;
      });
      await to.run("set-hostname", to.agent.name);
    },
  },
  {
    name: "a name that is taken is refused",
    run: async (from, to) => {
      await from.fails("set-hostname", to.agent.name);
    },
  },
  {
    name: "set-tags, clear-tags",
    run: async (from) => {
      const group = from.cli === "v1.18" ? ["extras"] : [];
      await from.run(...group, "set-tags", "alpha", "beta");
      await from.run(...group, "clear-tags");
    },
  },
  {
    name: "set-public, set-private",
    run: async (from) => {
      await from.run("set-public");
      await from.run("set-private");
    },
  },
  {
    name: "peers: encrypted and authenticated",
    run: async (from, to) => {
      await from.run("ping", nodeOf(to), "--count", "1");
      const { peers } = await from.run("peers");
      const peer = peers.find(({ node_id }: { node_id: number }) => node_id === to.agent.node);
      assert.deepEqual([peer?.encrypted, peer?.authenticated], [true, true]);
    },
  },
  {
    name: "health",
    run: async (from) => {
      assert.equal((await from.run("health")).node_id ?? from.agent.node, from.agent.node);
    },
  },
];
