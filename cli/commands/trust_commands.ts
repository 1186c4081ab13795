/**
 * Mutual trust: `handshake`, `pending`, `approve`, `reject`, `trust`, `untrust` (docs/protocol/trust.md).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { CliDriver, Invocation } from "../invocation.ts";
import { type Outcome, table } from "../output.ts";
import { parseDuration } from "../parse.ts";
import type { CommandGroup } from "../spec.ts";
import { lines, safe, type SafeText } from "../terminal_text.ts";

/** How long `handshake --wait` waits when no duration is given, milliseconds. */
const DEFAULT_WAIT_MS = 60_000;

/** Handshake states that need no waiting. */
const TRUSTED_STATES: readonly string[] = ["already_trusted", "approved", "accepted"];

async function handshake(call: Invocation): Promise<Outcome> {
  const { signal } = call;
  const driver = await call.driver();
  const target = call.arg(0, "target");
  const reply = await driver.trust.request(target, call.args[1] ?? "", { signal });
  const node = reply.node_id;
  if (reply.granted === true) {
    const data = { ...reply, trusted: true };
    return { data, text: `Node ${node} is trusted: it had asked as well` };
  }
  if (reply.already_trusted === true || TRUSTED_STATES.includes(reply.status)) {
    const data = { ...reply, status: "already_trusted", trusted: true };
    return { data, text: `Node ${node} is trusted already` };
  }
  if (!call.options.has("wait")) {
    if (call.json) return { data: { ...reply } };
    const { node_id: self } = await driver.info({ signal });
    const text = `Request to node ${node}: ${reply.status}. On its side: pilotctl approve ${self}`;
    return { data: { ...reply }, text };
  }
  call.note(`Waiting for node ${node} to approve ...`);
  const started = performance.now();
  const timeoutMs = call.options.number("wait") ?? DEFAULT_WAIT_MS;
  await awaitTrust(driver, node, { signal, timeoutMs });
  const waited = Math.round(performance.now() - started);
  const data = { ...reply, status: "trusted", trusted: true, waited_ms: waited };
  return { data, text: `Node ${node} is trusted (after ${waited / 1000} s)` };
}

async function awaitTrust(
  driver: CliDriver,
  node: number,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<void> {
  try {
    await driver.trust.waitFor(node, { signal, timeoutMs });
  } catch (error) {
    if (!(error instanceof PilotError) || error.code !== "timeout") throw error;
    throw new PilotError("timeout", `Node ${node} did not answer within ${timeoutMs / 1000} s`, {
      hint:
        `The request stays open: ask its operator to approve it; pilotctl pending shows its state, ` +
        `pilotctl untrust ${node} takes it back.`,
      cause: error,
    });
  }
}

async function pending(call: Invocation): Promise<Outcome> {
  const open = await (await call.driver()).trust.open({ signal: call.signal });
  const { style } = call;
  const parts: (SafeText | string)[] = [];
  if (open.pending.length > 0) {
    const rows = open.pending.map((request) => [
      request.node_id,
      request.justification,
      localTime(request.received_at),
    ]);
    parts.push(table(["NODE ID", "JUSTIFICATION", "RECEIVED"], rows, style));
  }
  if (open.outgoing.length > 0) {
    const rows = open.outgoing.map(({ node_id, requested_at }) => [
      node_id,
      localTime(requested_at),
    ]);
    parts.push(
      safe`Our requests without an answer yet:\n${table(["NODE ID", "ASKED"], rows, style)}`,
    );
  }
  if (open.refused.length > 0) {
    const rows = open.refused.map((refusal) => [
      refusal.node_id,
      refusal.reason,
      localTime(refusal.refused_at),
    ]);
    parts.push(
      safe`Our requests that were refused:\n${
        table(["NODE ID", "REASON", "REFUSED"], rows, style)
      }`,
    );
  }
  if (open.pending.length === 0) parts.unshift(style.dim("No requests"));
  return { data: { ...open }, text: lines(parts, "\n\n") };
}

async function trust(call: Invocation): Promise<Outcome> {
  const list = await (await call.driver()).trust.peers({ signal: call.signal });
  const rows = list.map((peer) => [
    peer.node_id,
    peer.hostname ?? "",
    peer.mutual ? "yes" : "no",
    peer.network || "",
    localTime(peer.approved_at),
    peer.public_key,
  ]);
  const text = list.length === 0
    ? call.style.dim("No node is trusted")
    : table(["NODE ID", "NAME", "MUTUAL", "NETWORK", "SINCE", "PUBLIC KEY"], rows, call.style);
  return { data: { trusted: list }, text };
}

async function approve(call: Invocation): Promise<Outcome> {
  const node = await peerNode(call);
  const reply = await (await call.driver()).trust.approve(node, { signal: call.signal });
  return { data: { ...reply }, text: `Node ${node} approved` };
}

async function reject(call: Invocation): Promise<Outcome> {
  const node = await peerNode(call);
  const reason = call.args[1] ?? "";
  const reply = await (await call.driver()).trust.reject(node, reason, { signal: call.signal });
  return { data: { ...reply }, text: `Node ${node} rejected` };
}

async function untrust(call: Invocation): Promise<Outcome> {
  const node = await peerNode(call);
  const reply = await (await call.driver()).trust.revoke(node, { signal: call.signal });
  if (reply.withdrawn === true) {
    const data = { ...reply, status: "withdrawn" };
    return { data, text: `The request to node ${node} is withdrawn; it was not trusted` };
  }
  return { data: { ...reply }, text: `Node ${node} is not trusted any more` };
}

/** The node meant by the first argument. A private node that waits for our consent is found by name, too. */
async function peerNode(call: Invocation): Promise<number> {
  const target = call.arg(0, "target");
  const driver: CliDriver = await call.driver();
  if (/^\d+$/.test(target) || target.includes(":")) {
    return (await driver.resolveTarget(target)).node;
  }
  return (await driver.registry.handshakeTarget(target, { signal: call.signal })).node_id;
}

function localTime(unixSeconds: number): string {
  if (!Number.isFinite(unixSeconds) || unixSeconds <= 0) return "";
  const date = new Date(unixSeconds * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Who may talk to us. */
export const trustGroup: CommandGroup = {
  title: "Trust",
  commands: [
    {
      name: "handshake",
      summary: "Ask a node for mutual trust",
      args: "<target> [why]",
      options: [{
        flags: "--wait [duration]",
        description: "Wait until it is trusted, or refuses (60s)",
        parse: parseDuration,
      }],
      examples: ["handshake alice", 'handshake 5 "we share a project" --wait=30s'],
      returns:
        "status (sent, already_trusted, trusted), node_id, trusted; granted (it had asked); with --wait: trusted, waited_ms",
      run: handshake,
    },
    {
      name: "pending",
      summary: "List the requests that await our consent, and the outcome of our own",
      examples: ["pending"],
      returns: "pending[{node_id, justification, public_key, received_at (unix s)}], " +
        "outgoing[{node_id, requested_at}], refused[{node_id, reason, refused_at}]",
      run: pending,
    },
    {
      name: "approve",
      summary: "Consent to a request",
      args: "<target>",
      examples: ["approve 7"],
      returns: "status (approved), node_id",
      run: approve,
    },
    {
      name: "reject",
      summary: "Decline a request",
      args: "<target> [reason]",
      examples: ['reject 7 "do not know you"'],
      returns: "status (rejected), node_id",
      run: reject,
    },
    {
      name: "trust",
      summary: "List the trusted peers",
      examples: ["trust"],
      returns: "trusted[{node_id, hostname, mutual, network, approved_at (unix s), public_key}]",
      run: trust,
    },
    {
      name: "untrust",
      summary: "End trust with a peer and cut its connections, or withdraw a request to it",
      args: "<target>",
      examples: ["untrust 7"],
      returns: "status (revoked, withdrawn), node_id",
      run: untrust,
    },
  ],
};
