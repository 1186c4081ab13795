/**
 * Trust pairs (rendezvous.md §4.3) and the relay of handshakes (§4.4).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  challenges,
  flagField,
  numberField,
  type PollHandshakesReply,
  textField,
} from "../../../protocol/registry.ts";
import { unixSeconds } from "../../clock.ts";
import { authenticate } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { INBOX_TTL_SECONDS, MAX_JUSTIFICATION_BYTES } from "../limits.ts";
import type { NodeRecord } from "../node.ts";

/** The other side of a trust operation: registered once, though perhaps not reachable now. */
function peerOf(core: RegistryCore, id: number): NodeRecord {
  const peer = core.directory.known(id);
  if (peer === undefined) throw nodeNotFound(id);
  return peer;
}

/** `report_trust`; idempotent. The peer may be away: a pair outlives registrations. */
export const reportTrust: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const challenge = challenges.reportTrust(id, peer);
  const node = await authenticate(core, id, request, challenge);
  peerOf(core, peer);
  return core.change(() => {
    core.trust.report(node, peer);
    return {};
  });
};

/** `revoke_trust`; either side ends the pair for both. */
export const revokeTrust: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  await authenticate(core, id, request, challenges.revokeTrust(id, peer));
  return core.change(() => {
    const known = (node: number) => core.directory.known(node);
    if (!core.trust.revoke(id, peer, known)) {
      throw new RegistryFailure(`no trust pair between ${id} and ${peer}`);
    }
    return {};
  });
};

/** `check_trust`: a trust pair or a shared network; open to everyone. */
export const checkTrust: Handler = (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  return { trusted: core.trust.has(id, peer) || core.networks.share(id, peer) };
};

/** `request_handshake`. Waits for the target, even one that is silent at the moment. */
export const requestHandshake: Handler = async (core, request) => {
  const sender = numberField(request, "from_node_id");
  const target = numberField(request, "to_node_id");
  await authenticate(core, sender, request, challenges.handshake(sender, target));
  if (peerOf(core, target).state === "left") throw nodeNotFound(target);
  if (sender === target) throw new RegistryFailure("cannot shake hands with yourself");
  const justification = textField(request, "justification");
  if (Buffer.byteLength(justification) > MAX_JUSTIFICATION_BYTES) {
    throw new RegistryFailure("justification too large");
  }
  return core.change(() => {
    if (core.requests.has(target, sender)) {
      throw new RegistryFailure(
        `handshake request already pending from node ${sender}`,
      );
    }
    const created = unixSeconds(core.clock);
    if (!core.requests.put({ target, sender, justification, created })) {
      throw new RegistryFailure("handshake inbox full");
    }
    core.inboxWatch.waiting(target);
    return { status: "delivered" };
  });
};

/** `poll_handshakes`; what is handed over is forgotten. */
export const pollHandshakes: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  await authenticate(core, id, request, challenges.pollHandshakes(id));
  return core.change(() => {
    const notBefore = unixSeconds(core.clock) - INBOX_TTL_SECONDS;
    const reply: Omit<PollHandshakesReply, "type"> = {
      requests: core.requests.drain(id, notBefore).map((entry) => ({
        from_node_id: entry.sender,
        justification: entry.justification,
        timestamp: entry.created,
        public_key: core.directory.known(entry.sender)?.key ?? "",
      })),
      responses: core.responses.drain(id, notBefore).map((entry) => ({
        from_node_id: entry.sender,
        accept: entry.accept,
        timestamp: entry.created,
      })),
    };
    core.inboxWatch.fetched(id);
    return { ...reply };
  });
};

/** `respond_handshake`; accepting makes the trust pair, refusing leaves one that exists. */
export const respondHandshake: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const challenge = challenges.respondHandshake(id, peer);
  const node = await authenticate(core, id, request, challenge);
  peerOf(core, peer);
  const accept = flagField(request, "accept");
  return core.change(() => {
    if (accept) core.trust.report(node, peer);
    const created = unixSeconds(core.clock);
    // A full inbox loses only the notice: the pair itself stands, and the asker finds it with check_trust.
    if (core.responses.put({ target: peer, sender: id, accept, created })) {
      core.inboxWatch.waiting(peer);
    }
    return { accept, peer_id: peer };
  });
};
