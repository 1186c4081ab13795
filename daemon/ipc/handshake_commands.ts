/**
 * The handshake sub-commands of the local socket (docs/protocol/local-socket.md §4).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeHandshake, type IpcHandshake } from "../../protocol/ipc/mod.ts";
import type { Json } from "./backend.ts";
import type { CommandContext, Reply } from "./command.ts";
import { MAX_REASON_BYTES } from "./ipc_limits.ts";
import { commandError, encodeReply, need, prefixed } from "./replies.ts";

/**
 * Carries out a handshake sub-command.
 *
 * @param context The session.
 * @param payload Sub-command and its arguments.
 * @returns The JSON reply.
 * @throws {CommandError} With the prefix `handshake <sub>`.
 */
export function runHandshake(
  context: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const request = need(decodeHandshake(payload));
  if (payload.length > MAX_REASON_BYTES + 5) {
    throw commandError(
      "handshake",
      new PilotError("invalid_argument", `The reason is longer than ${MAX_REASON_BYTES} bytes`),
    );
  }
  const name = request.sub === "send" ? "request" : request.sub;
  return prefixed(`handshake ${name}`, async () => ({
    cmd: Cmd.HandshakeOk,
    payload: encodeReply(await run(context, request)),
  }));
}

async function run(
  { backend, signal }: CommandContext,
  request: IpcHandshake,
): Promise<Json> {
  const { trust } = backend;
  switch (request.sub) {
    case "send": {
      const { node, justification } = request;
      const outcome = await trust.request(node, justification);
      // Existing drivers know "sent"; a peer that is trusted needs nothing more from them either.
      return { status: "sent", node_id: node, ...(outcome === "sent" ? {} : { [outcome]: true }) };
    }
    case "approve":
      await trust.approve(request.node);
      return { status: "approved", node_id: request.node };
    case "reject":
      await trust.reject(request.node, request.reason);
      return { status: "rejected", node_id: request.node };
    case "revoke":
      return {
        status: "revoked",
        node_id: request.node,
        ...(await trust.revoke(request.node) ? {} : { withdrawn: true }),
      };
    case "pending":
      // Existing drivers look at the first list only.
      return { pending: trust.pending(), outgoing: trust.outgoing(), refused: trust.refused() };
    case "trusted":
      return { trusted: trust.trusted() };
    case "wait":
      return {
        node_id: request.node,
        trusted: await trust.waitFor(request.node, request.timeoutMs, signal),
      };
  }
}
