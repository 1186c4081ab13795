/**
 * Polo scores (docs/protocol/registry.md §4.7): a number per node that task services add to. The wire has no
 * authentication here, so anybody can write anybody's score. A strict registry demands the node's signature or the
 * admin token; clients that know neither are served with `strict` off (`--no-strict`).
 *
 * @module
 */

import {
  challenges,
  type JsonObject,
  numberField,
} from "../../../protocol/registry/registry_message.ts";
import { authenticate } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { MAX_POLO_SCORE } from "../registry_limits.ts";
import { backboneAddress, type NodeRecord } from "../node_entry.ts";

/** `update_polo_score`: adds `delta`; the sum stays within the bounds. */
export const updatePoloScore: Handler = async (core, request) => {
  const delta = scoreField(request, "delta");
  const node = await writable(core, request, (id) => challenges.updatePoloScore(id, delta));
  return await write(core, node, () => clamp(node.poloScore + delta));
};

/** `set_polo_score`. */
export const setPoloScore: Handler = async (core, request) => {
  const score = scoreField(request, "polo_score");
  const node = await writable(core, request, (id) => challenges.setPoloScore(id, score));
  return await write(core, node, () => score);
};

/** `get_polo_score`; open to everyone, and says nothing of whether the node is there. */
export const getPoloScore: Handler = (core, request) => {
  const id = numberField(request, "node_id");
  const node = core.directory.known(id);
  if (node === undefined) throw noScoreOf(id);
  return reply(node);
};

/**
 * Reads a score or a step; fractions are cut.
 *
 * @throws {RegistryFailure} Missing, or out of bounds.
 */
function scoreField(request: JsonObject, name: string): number {
  const value = Object.hasOwn(request, name) ? request[name] : undefined;
  if (typeof value !== "number") {
    throw new RegistryFailure(`${String(request["type"])} requires ${name}`);
  }
  if (Math.abs(value) > MAX_POLO_SCORE) {
    throw new RegistryFailure(
      `invalid ${name}: must be between -${MAX_POLO_SCORE} and ${MAX_POLO_SCORE}`,
    );
  }
  return Math.trunc(value) || 0; // no negative zero
}

function clamp(score: number): number {
  return Math.min(MAX_POLO_SCORE, Math.max(-MAX_POLO_SCORE, score));
}

function liveNode(core: RegistryCore, request: JsonObject): NodeRecord {
  const id = numberField(request, "node_id");
  const node = core.directory.known(id);
  if (node?.state !== "live") throw noScoreOf(id);
  return node;
}

function noScoreOf(id: number): RegistryFailure {
  return new RegistryFailure(`node ${id} not found`);
}

async function writable(
  core: RegistryCore,
  request: JsonObject,
  challenge: (id: number) => Uint8Array,
): Promise<NodeRecord> {
  const node = liveNode(core, request);
  if (core.strict) {
    await authenticate(core, node.id, request, challenge(node.id), {
      admin: true,
      whole: "it changes a score", // a step that is sent again would count again
    });
  }
  return node;
}

function write(
  core: RegistryCore,
  node: NodeRecord,
  score: () => number,
): Promise<JsonObject> {
  return core.change(() => {
    const next = score();
    core.directory.touch(node);
    if (node.poloScore !== next) core.directory.edit(node).poloScore = next;
    return reply(node);
  });
}

function reply(node: NodeRecord): JsonObject {
  return { node_id: node.id, address: backboneAddress(node.id), polo_score: node.poloScore };
}
