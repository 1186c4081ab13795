/**
 * Trust pairs (docs/protocol/registry.md §4.3) and the relay of handshakes (§4.4).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  challenges,
  flagField,
  type JsonObject,
  numberField,
  type PollHandshakesReply,
  textField,
} from "../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../server_clock.ts";
import { authenticate, isSigned } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import {
  INBOX_TTL_SECONDS,
  MAX_HANDSHAKE_MESSAGE_BYTES,
  MAX_JUSTIFICATION_BYTES,
} from "../registry_limits.ts";
import type { NodeRecord } from "../node_entry.ts";
import { mayTalk } from "../sight.ts";

/** The other side of a trust operation: registered once, though perhaps not reachable now. */
function peerOf(core: RegistryCore, id: number): NodeRecord {
  const peer = core.directory.known(id);
  if (peer === undefined) throw nodeNotFound(id);
  return peer;
}

/**
 * `report_trust`: the word of one side, idempotent. The peer may be away: a pair outlives registrations. Ours in the
 * reply is what the other side has said last, where it is not that it trusts, too.
 */
export const reportTrust: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const challenge = challenges.reportTrust(id, peer);
  const node = await authenticate(core, id, request, challenge);
  peerOf(core, peer);
  return core.change((): JsonObject => {
    core.trust.say(node, peer, "trusts");
    return core.trust.said(peer, id) === "ended" ? { ended: true } : {};
  });
};

/**
 * `revoke_trust`: the word of one side is withdrawn, and only the same side can give it again. The other side is told
 * when it polls.
 */
export const revokeTrust: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const challenge = challenges.revokeTrust(id, peer);
  const node = await authenticate(core, id, request, challenge);
  const message = messageField(request);
  return core.change(() => {
    core.fresh.forget(id, peer);
    const isNews = core.trust.consents(id, peer) || core.trust.consents(peer, id);
    // What the node says itself is passed on, though we may have dropped its request, which the peer may have yet.
    if (!isNews && message === "") {
      throw new RegistryFailure(`no trust pair between ${id} and ${peer}`);
    }
    if (isNews) core.trust.say(node, peer, "ended");
    const created = unixSeconds(core.clock);
    core.relay.answer({ target: peer, sender: id, answer: "revoke", message, created });
    // It is the answer to what the peer has asked for, too, unless that is newer.
    if (!core.relay.hasRequest(id, peer)) core.trust.refuse(peer, id);
    core.inboxWatch.waiting(peer);
    return {};
  });
};

/**
 * `check_trust`: do the two have a reason to talk? Only one of the two is told. The wire has no asker here: it is who
 * has signed on this connection, or who signs this request (`requester_id`, our extension). Everybody else hears no.
 */
export const checkTrust: Handler = async (core, request, client) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const requester = numberField(request, "requester_id");
  if (requester !== 0 && isSigned(request)) {
    const challenge = challenges.checkTrust(requester, id, peer);
    await authenticate(core, requester, request, challenge);
  }
  const { auth } = client;
  return { trusted: (auth.has(id) || auth.has(peer)) && mayTalk(core, id, peer) };
};

/** `request_handshake`. Waits for the target, even one that is silent at the moment. */
export const requestHandshake: Handler = async (core, request) => {
  const sender = numberField(request, "from_node_id");
  const target = numberField(request, "to_node_id");
  const challenge = challenges.handshake(sender, target);
  const node = await authenticate(core, sender, request, challenge);
  peerOf(core, target);
  const justification = textField(request, "justification");
  if (Buffer.byteLength(justification) > MAX_JUSTIFICATION_BYTES) {
    throw new RegistryFailure("justification too large");
  }
  const message = messageField(request);
  return core.change(() => {
    if (core.relay.isAsked(target, sender) && message === "") {
      throw new RegistryFailure(
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
};

/**
 * `poll_handshakes`. What is handed over is forgotten, or with `ack` (our extension: empty, or what the last answer
 * said) when the node says that it has it. Revocations are told only to nodes that acknowledge: others do not know them.
 */
export const pollHandshakes: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  await authenticate(core, id, request, challenges.pollHandshakes(id));
  const ack = typeof request["ack"] === "string" ? request["ack"] : undefined;
  return core.change(() => {
    const notBefore = unixSeconds(core.clock) - INBOX_TTL_SECONDS;
    const handed = core.relay.hand(id, notBefore, ack);
    const answers = handed.responses.filter(({ answer }) => answer !== "revoke");
    const reply: Omit<PollHandshakesReply, "type"> = {
      requests: handed.requests.map((entry) => ({
        from_node_id: entry.sender,
        justification: entry.justification,
        timestamp: entry.created,
        public_key: core.directory.known(entry.sender)?.key ?? "",
        ...(ack === undefined ? {} : { source: core.sourceTag(entry.sender, id) }),
        ...messageOf(entry),
      })),
      responses: answers.map((entry) => ({
        from_node_id: entry.sender,
        accept: entry.answer === "accept",
        timestamp: entry.created,
        ...(entry.answer === "dropped" ? { dropped: true } : {}),
        ...(ack === undefined ? {} : { public_key: core.directory.known(entry.sender)?.key ?? "" }),
        ...messageOf(entry),
      })),
    };
    core.inboxWatch.fetched(id);
    if (ack === undefined) return { ...reply };
    const revocations = handed.responses.filter(({ answer }) => answer === "revoke");
    return {
      ...reply,
      revocations: revocations.map((entry) => ({
        from_node_id: entry.sender,
        timestamp: entry.created,
        public_key: core.directory.known(entry.sender)?.key ?? "",
        ...messageOf(entry),
      })),
      ack: handed.ack,
    };
  });
};

/** `respond_handshake`; accepting is the word of one side, refusing ends the request and leaves a pair that exists. */
export const respondHandshake: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const peer = numberField(request, "peer_id");
  const challenge = challenges.respondHandshake(id, peer);
  const node = await authenticate(core, id, request, challenge);
  peerOf(core, peer);
  const accept = flagField(request, "accept");
  const message = messageField(request);
  return core.change(() => {
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
};

/**
 * The signed handshake message that goes with a request (our extension): the receiver need not take our word for it.
 *
 * @throws {RegistryFailure} When it is too long.
 */
function messageField(request: JsonObject): string {
  const message = textField(request, "message");
  if (Buffer.byteLength(message) > MAX_HANDSHAKE_MESSAGE_BYTES) {
    throw new RegistryFailure("handshake message too long");
  }
  return message;
}

function messageOf({ message }: { readonly message: string }): { message?: string } {
  return message === "" ? {} : { message };
}
