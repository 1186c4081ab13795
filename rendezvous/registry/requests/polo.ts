/**
 * Polo scores (docs/protocol/registry.md §4.7): a number per node that task services add to. The wire has no
 * authentication here, so anyone can write any score. A strict registry demands the node's signature or the
 * admin token; clients that know neither are served with `strict` off (`--no-strict`).
 *
 * @module
 */

import type { ReadFields, RegistryRequest } from "../../../protocol/registry/request_schema.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { type Asking, authenticate } from "../authenticate.ts";
import { nodeTarget } from "../change_record.ts";
import type { RequestContext } from "../context.ts";
import type { RegistryCore } from "../core.ts";
import { RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
import { MAX_POLO_SCORE } from "../registry_limits.ts";
import { backboneAddress, type NodeRecord } from "../node_entry.ts";

/** `update_polo_score`: adds `delta`; the sum stays within the bounds. */
const updatePoloScore = serve(requests.updatePoloScore, async (context, fields) => {
  const delta = checkedScore(requests.updatePoloScore.type, "delta", fields.delta);
  const asking = await writable(context, requests.updatePoloScore, fields);
  return await write(context.core, asking, ({ poloScore }) => clamp(poloScore + delta));
});

/** `set_polo_score`. */
const setPoloScore = serve(requests.setPoloScore, async (context, fields) => {
  const score = checkedScore(requests.setPoloScore.type, "polo_score", fields.polo_score);
  const asking = await writable(context, requests.setPoloScore, fields);
  return await write(context.core, asking, () => score);
});

/** `get_polo_score`; open to everyone, and says nothing of whether the node is there. */
const getPoloScore = serve(requests.getPoloScore, ({ core }, { node_id }) => {
  const node = core.nodes.known(node_id);
  if (node === undefined) throw noScoreOf(node_id);
  return reply(node);
});

/**
 * Reads a score or a step; fractions are cut.
 *
 * @throws {RegistryFailure} Missing, or out of bounds.
 */
function checkedScore(type: string, name: string, value: unknown): number {
  if (typeof value !== "number") {
    throw new RegistryFailure("invalid_argument", `${type} requires ${name}`);
  }
  if (Math.abs(value) > MAX_POLO_SCORE) {
    throw new RegistryFailure(
      "invalid_argument",
      `invalid ${name}: must be between -${MAX_POLO_SCORE} and ${MAX_POLO_SCORE}`,
    );
  }
  return Math.trunc(value) || 0; // no negative zero
}

function clamp(score: number): number {
  return Math.min(MAX_POLO_SCORE, Math.max(-MAX_POLO_SCORE, score));
}

function noScoreOf(id: number): RegistryFailure {
  return new RegistryFailure("not_found", `node ${id} not found`);
}

async function writable<F extends requests.NodeFields>(
  context: RequestContext,
  request: RegistryRequest<F, requests.PoloReply>,
  fields: ReadFields<F>,
): Promise<Asking> {
  const { core } = context;
  const id: number = fields.node_id;
  const node = core.nodes.known(id);
  if (node?.state !== "live") throw noScoreOf(id);
  if (!core.strict) return { node, actor: { kind: "anyone" } };
  return await authenticate(context, request, fields, {
    admin: true,
    whole: "it changes a score", // a step that is sent again would count again
  });
}

function write(
  core: RegistryCore,
  { node, actor }: Asking,
  score: (node: NodeRecord) => number,
): Promise<requests.PoloReply> {
  return core.change({ actor, action: "node.set_polo_score", target: nodeTarget(node.id) }, () => {
    const next = score(node);
    core.nodes.touch(node);
    if (node.poloScore !== next) core.nodes.edit(node).poloScore = next;
    return reply(node);
  });
}

function reply(node: NodeRecord): requests.PoloReply {
  return { node_id: node.id, address: backboneAddress(node.id), polo_score: node.poloScore };
}

/** All of these. */
export const POLO_REQUESTS: readonly Served[] = [updatePoloScore, setPoloScore, getPoloScore];
