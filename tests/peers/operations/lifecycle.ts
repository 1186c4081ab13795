/**
 * Crashes, restarts and homes that change hands, between peers that trust each other.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Kind } from "../world/agent.ts";
import { nodeOf, type Operation, retried, Side } from "./operation.ts";

/** The other kind. */
const OTHER: Readonly<Record<Kind, Kind>> = { ours: "v1.18", "v1.18": "ours" };

/** All of them. */
export const LIFECYCLE: readonly Operation[] = [
  {
    name: "kill -9 and restart of the other side: reached again, trust kept",
    run: async (from, to) => {
      await from.run("ping", nodeOf(to), "--count", "1");
      await to.agent.kill("SIGKILL");
      await to.agent.start();
      await retried(from, ["ping", nodeOf(to), "--count", "1", "--timeout", "5s"]);
      await retried(to, ["ping", nodeOf(from), "--count", "1", "--timeout", "5s"]);
      assert.ok(await from.trusts(to) && await to.trusts(from));
    },
  },
  {
    name: "orderly stop and restart of the own side: reaches again",
    run: async (from, to) => {
      await from.agent.kill("SIGTERM");
      await from.agent.start();
      await retried(from, ["ping", nodeOf(to), "--count", "1", "--timeout", "5s"]);
      await retried(to, ["ping", nodeOf(from), "--count", "1", "--timeout", "5s"]);
    },
  },
  {
    name: "the rendezvous is down: messages still pass; restarted: names and numbers kept",
    run: async (from, to, world) => {
      await from.run("ping", nodeOf(to), "--count", "1");
      const before = [from.agent.node, to.agent.node];
      await world.killRendezvous();
      try {
        await from.run("send-message", nodeOf(to), "--data", "without a rendezvous");
      } finally {
        await world.startRendezvous();
      }
      // v1.18 shows who it is on a new connection with its heartbeat only, once a minute.
      const { node_id } = await retried(from, ["find", to.agent.name], 90_000);
      assert.deepEqual([from.agent.node, node_id], before);
    },
  },
  {
    name: "the home is taken over by the other kind, and given back: same node, same trust",
    run: async (from, to) => {
      const { agent } = from;
      const [kind, node] = [agent.kind, agent.node];
      for (const next of [OTHER[kind], kind]) {
        // Ours signs more than v1.18 can, and the registry holds a node to it until the node says otherwise.
        if (agent.kind === "ours") await new Side(agent, "ours").run("network", "release-hold");
        await agent.kill("SIGTERM");
        agent.kind = next;
        await agent.start();
        const side = new Side(agent, next);
        assert.equal(agent.node, node);
        assert.ok(await side.trusts(to), `${next} has lost the trusted peer`);
        await retried(side, ["ping", nodeOf(to), "--count", "1", "--timeout", "5s"]);
        await retried(to, ["ping", `${node}`, "--count", "1", "--timeout", "5s"]);
      }
    },
  },
];
