/**
 * Trust pairs (docs/protocol/registry.md §4.3) and the relay of handshakes (§4.4).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../platform/clock.ts";
import { authenticate, isSigned } from "../authenticate.ts";
import { nodeTarget, pairTarget } from "../change_record.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
import {
  INBOX_TTL_SECONDS,
  MAX_HANDSHAKE_MESSAGE_BYTES,
  MAX_JUSTIFICATION_BYTES,
} from "../registry_limits.ts";
import type { NodeRecord } from "../node_entry.ts";
import { mayTalk } from "../sight.ts";

/** The other side of a trust operation: registered once, though perhaps not reachable now. */
function peerOf(core: RegistryCore, id: number): NodeRecord {
  const peer = core.nodes.known(id);
  if (peer === undefined) throw nodeNotFound(id);
  return peer;
}

/**
 * `report_trust`: the statement of one side, idempotent. The peer may be away: a pair outlives registrations. Ours in
 * the reply is what the other side has said last, where it is not that it trusts, too.
 */
const reportTrust = serve(requests.reportTrust, async (context, fields) => {
  const { core } = context;
  const { node_id: id, peer_id: peer } = fields;
  const { node, actor } = await authenticate(context, requests.reportTrust, fields);
  peerOf(core, peer);
  const target = pairTarget(id, peer);
  return await core.change({ actor, action: "trust.report", target }, () => {
    core.trust.say(node, peer, "trusts");
    return core.trust.said(peer, id) === "ended" ? { ended: true } : {};
  });
});

/**
 * `revoke_trust`: one side's statement is withdrawn, and only the same side can give it again. The other learns it
 * when it polls.
 */
const revokeTrust = serve(requests.revokeTrust, async (context, fields) => {
  const { core } = context;
  const { node_id: id, peer_id: peer } = fields;
  const { node, actor } = await authenticate(context, requests.revokeTrust, fields);
  const message = checkedMessage(fields.message);
  const target = pairTarget(id, peer);
  return await core.change({ actor, action: "trust.revoke", target }, () => {
    core.fresh.forget(id, peer);
    const isNews = core.trust.consents(id, peer) || core.trust.consents(peer, id);
    // What the node says itself is passed on, though we may have dropped its request, which the peer may have yet.
    if (!isNews && message === "") {
      throw new RegistryFailure("not_found", `no trust pair between ${id} and ${peer}`);
    }
    if (isNews) core.trust.say(node, peer, "ended");
    const created = unixSeconds(core.clock);
    core.relay.answer({ target: peer, sender: id, answer: "revoke", message, created });
    // It is the answer to what the peer has asked for, too, unless that is newer.
    if (!core.relay.hasRequest(id, peer)) core.trust.refuse(peer, id);
    core.inboxWatch.waiting(peer);
    return {};
  });
});

/**
 * `check_trust`: do the two have a reason to talk? Only one of the two gets an answer. The wire has no requester
 * here: it is who has signed on this connection, or who signs this request (`requester_id`, our extension). All
 * others get a no.
 */
const checkTrust = serve(requests.checkTrust, async (context, fields) => {
  const { core, peer: { auth } } = context;
  const { node_id: id, peer_id: peer } = fields;
  if (fields.requester_id !== 0 && isSigned(context)) {
    await authenticate(context, requests.checkTrust, fields);
  }
  return { trusted: (auth.has(id) || auth.has(peer)) && mayTalk(core, id, peer) };
});

/** `request_handshake`. Waits for the target, even one that is silent at the moment. */
const requestHandshake = serve(requests.requestHandshake, async (context, fields) => {
  const { core } = context;
  const { from_node_id: sender, to_node_id: target, justification } = fields;
  const { node, actor } = await authenticate(context, requests.requestHandshake, fields);
  peerOf(core, target);
  if (Buffer.byteLength(justification) > MAX_JUSTIFICATION_BYTES) {
    throw new RegistryFailure("invalid_argument", "justification too large");
  }
  const message = checkedMessage(fields.message);
  const pair = pairTarget(sender, target);
  return await core.change({ actor, action: "handshake.request", target: pair }, () => {
    if (core.relay.isAsked(target, sender) && message === "") {
      throw new RegistryFailure(
        "already_exists",
        `handshake request already pending from node ${sender}`,
      );
    }
    core.trust.say(node, target, "asked");
    const created = unixSeconds(core.clock);
    const dropped = core.relay.ask({ target, sender, justification, message, created });
    if (dropped !== undefined) {
      core.trust.refuse(dropped.sender, dropped.target);
      core.inboxWatch.waiting(dropped.sender);
    }
    core.inboxWatch.waiting(target);
    return { status: "delivered" };
  });
});

/**
 * `poll_handshakes`. What is handed over is forgotten, or with `ack` (our extension: empty, or what the last answer
 * said) when the node says that it has it. Revocations go only to nodes that acknowledge: others do not know them.
 */
const pollHandshakes = serve(requests.pollHandshakes, async (context, fields) => {
  const { core } = context;
  const { node_id: id, ack } = fields;
  const { actor } = await authenticate(context, requests.pollHandshakes, fields);
  return await core.change({ actor, action: "handshake.poll", target: nodeTarget(id) }, () => {
    const notBefore = unixSeconds(core.clock) - INBOX_TTL_SECONDS;
    const handed = core.relay.hand(id, notBefore, ack);
    const answers = handed.responses.filter(({ answer }) => answer !== "revoke");
    const reply: requests.PollHandshakesReply = {
      requests: handed.requests.map((entry) => ({
        from_node_id: entry.sender,
        justification: entry.justification,
        timestamp: entry.created,
        public_key: keyOf(core, entry.sender),
        ...(ack === undefined ? {} : { source: core.sourceTag(entry.sender, id) }),
        ...messageOf(entry),
      })),
      responses: answers.map((entry) => ({
        from_node_id: entry.sender,
        accept: entry.answer === "accept",
        timestamp: entry.created,
        ...(entry.answer === "dropped" ? { dropped: true } : {}),
        ...(ack === undefined ? {} : { public_key: keyOf(core, entry.sender) }),
        ...messageOf(entry),
      })),
    };
    core.inboxWatch.fetched(id);
    if (ack === undefined) return reply;
    const revocations = handed.responses.filter(({ answer }) => answer === "revoke");
    return {
      ...reply,
      revocations: revocations.map((entry) => ({
        from_node_id: entry.sender,
        timestamp: entry.created,
        public_key: keyOf(core, entry.sender),
        ...messageOf(entry),
      })),
      ack: handed.ack,
    };
  });
});

/**
 * `respond_handshake`; accepting is the statement of one side, refusing ends the request and leaves a pair that
 * exists.
 */
const respondHandshake = serve(requests.respondHandshake, async (context, fields) => {
  const { core } = context;
  const { node_id: id, peer_id: peer, accept } = fields;
  const { node, actor } = await authenticate(context, requests.respondHandshake, fields);
  peerOf(core, peer);
  const message = checkedMessage(fields.message);
  const target = pairTarget(id, peer);
  return await core.change({ actor, action: "handshake.respond", target }, () => {
    if (accept) core.trust.say(node, peer, "trusts");
    // A node may have looked where to send its refusal, which is no consent.
    else core.fresh.forget(id, peer);
    const created = unixSeconds(core.clock);
    const answer = accept ? "accept" : "reject";
    core.relay.answer({ target: peer, sender: id, answer, message, created });
    // A newer request than the one that was refused stands.
    if (!accept && !core.relay.hasRequest(id, peer)) core.trust.refuse(peer, id);
    core.inboxWatch.waiting(peer);
    return { accept, peer_id: peer };
  });
});

/**
 * The signed handshake message that goes with a request (our extension): the receiver need not rely on us.
 *
 * @throws {RegistryFailure} When it is too long.
 */
function checkedMessage(message: string): string {
  if (Buffer.byteLength(message) > MAX_HANDSHAKE_MESSAGE_BYTES) {
    throw new RegistryFailure("invalid_argument", "handshake message too long");
  }
  return message;
}

function messageOf({ message }: { readonly message: string }): { message?: string } {
  return message === "" ? {} : { message };
}

function keyOf(core: RegistryCore, node: number): string {
  return core.nodes.known(node)?.key ?? "";
}

/** All of these. */
export const TRUST_REQUESTS: readonly Served[] = [
  reportTrust,
  revokeTrust,
  checkTrust,
  requestHandshake,
  pollHandshakes,
  respondHandshake,
];
