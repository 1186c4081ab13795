/**
 * The way back from signatures over whole requests, our extension (protocol/registry/whole_signature.ts).
 *
 * @module
 */

import { challenges, numberField } from "../../../protocol/registry/registry_message.ts";
import { authenticate } from "../authenticate.ts";
import type { Handler } from "../handler.ts";

/**
 * `release_hold`: the wire's signatures count again for a node, because it goes back to software that makes no others.
 * Asked by the node itself, which must sign the whole request like every other, or with the admin token. The next whole
 * request that the node signs holds it again.
 */
export const releaseHold: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.releaseHold(id);
  const node = await authenticate(core, id, request, challenge, { admin: true, silent: true });
  return core.change(() => {
    if (node.held) core.directory.edit(node).held = false;
    return { node_id: id };
  });
};
