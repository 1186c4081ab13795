/**
 * What each request does (docs/protocol/local-socket.md §2). Connection traffic (Send, Close, datagrams, tags) is the
 * session's.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeDial,
  decodeFlag,
  decodeHandshakeTarget,
  decodeNode,
  decodePing,
  decodePort,
  decodeTags,
  decodeText,
  encodePort,
} from "../../protocol/ipc/mod.ts";
import type { Json } from "./backend.ts";
import type { Command, CommandContext, Reply } from "./command.ts";
import { runHandshake } from "./handshake_commands.ts";
import { runManaged, runNetwork } from "./network_commands.ts";
import { MAX_HOSTNAME_BYTES, MAX_PING_TIMEOUT_MS, MAX_TAGS } from "./ipc_limits.ts";
import { CommandError, commandError, dialText, encodeReply, need, prefixed } from "./replies.ts";

const json = (cmd: number, reply: Json): Reply => ({
  cmd,
  payload: encodeReply(reply),
});

function bind({ bind }: CommandContext, payload: Uint8Array): Reply {
  const port = need(decodePort(payload));
  try {
    bind(port);
  } catch (thrown) {
    const error = PilotError.from(thrown, "internal");
    throw error.code === "already_exists"
      ? new CommandError(error, `port ${port} already bound`) // docs/protocol/local-socket.md §3
      : error;
  }
  return { cmd: Cmd.BindOk, payload: encodePort(port) };
}

function unbind({ unbind }: CommandContext, payload: Uint8Array): Reply {
  if (payload.length < 2) {
    throw new PilotError("invalid_argument", "unbind: missing port");
  }
  const port = need(decodePort(payload));
  unbind(port);
  return { cmd: Cmd.UnbindOk, payload: encodePort(port) };
}

async function dial(
  context: CommandContext,
  payload: Uint8Array,
): Promise<undefined> {
  const { address, port } = need(decodeDial(payload));
  try {
    await context.dial(address, port);
    return undefined;
  } catch (thrown) {
    const error = PilotError.from(thrown, "connection_failed");
    throw new CommandError(error, dialText(error));
  }
}

function hostnameOf(payload: Uint8Array, prefix: string): string {
  if (payload.length > MAX_HOSTNAME_BYTES) {
    throw commandError(
      prefix,
      new PilotError("invalid_argument", `Hostname longer than ${MAX_HOSTNAME_BYTES} bytes`),
    );
  }
  return need(decodeText(payload), prefix);
}

function resolveHostname(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const name = "resolve_hostname";
  if (payload.length === 0) {
    const error = new PilotError("invalid_argument", "The hostname is empty");
    throw new CommandError(error, `${name}: missing hostname`);
  }
  const hostname = hostnameOf(payload, name);
  return prefixed(
    name,
    async () =>
      json(
        Cmd.ResolveHostnameOk,
        await backend.directory.resolveHostname(hostname),
      ),
  );
}

function setHostname(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const hostname = hostnameOf(payload, "set_hostname");
  return prefixed(
    "set_hostname",
    async () => json(Cmd.SetHostnameOk, await backend.directory.setHostname(hostname)),
  );
}

function setVisibility(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const isPublic = need(decodeFlag(payload), "set_visibility");
  return prefixed(
    "set_visibility",
    async () =>
      json(
        Cmd.SetVisibilityOk,
        await backend.directory.setVisibility(isPublic),
      ),
  );
}

function setTags(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const tags = need(decodeTags(payload));
  if (tags.length > MAX_TAGS) {
    throw new PilotError(
      "invalid_argument",
      `set_tags: maximum ${MAX_TAGS} tags allowed`,
    );
  }
  return prefixed(
    "set_tags",
    async () => json(Cmd.SetTagsOk, await backend.directory.setTags(tags)),
  );
}

function deregister({ backend }: CommandContext): Promise<Reply> {
  return prefixed(
    "deregister",
    async () => json(Cmd.DeregisterOk, await backend.directory.deregister()),
  );
}

function lookup(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const node = need(decodeNode(payload), "lookup");
  return prefixed(
    "lookup",
    async () => json(Cmd.LookupOk, await backend.directory.lookup(node)),
  );
}

function handshakeTarget(
  { backend }: CommandContext,
  payload: Uint8Array,
): Promise<Reply> {
  const hostname = need(decodeHandshakeTarget(payload));
  hostnameOf(payload, "handshake target");
  return prefixed(
    "handshake target",
    async () =>
      json(
        Cmd.HandshakeTargetOk,
        await backend.directory.handshakeTarget(hostname),
      ),
  );
}

function path({ backend }: CommandContext, payload: Uint8Array): Reply {
  return json(Cmd.PathOk, backend.path(need(decodeNode(payload), "path")));
}

function ping(context: CommandContext, payload: Uint8Array): Promise<Reply> {
  const { address, timeoutMs } = need(decodePing(payload));
  const { backend, signal } = context;
  return prefixed("ping", async () => {
    const { rttMs, relayed } = await backend.network.ping(address, {
      timeoutMs: Math.min(timeoutMs, MAX_PING_TIMEOUT_MS),
      signal,
    });
    return json(Cmd.PingOk, { rtt_ms: rttMs, relayed });
  });
}

/**
 * The refusal of a command that is missing in {@linkcode COMMANDS}: of one that other daemons serve it says what is
 * missing, so that a program does not take it for a daemon that is too old to know it.
 */
export function notServed(cmd: number): PilotError {
  const hex = `0x${cmd.toString(16).padStart(2, "0")}`;
  const name = Object.entries(Cmd).find(([name, number]) =>
    number === cmd && !name.endsWith("Ok") && `${name}Ok` in Cmd
  )?.[0];
  return new PilotError(
    "unavailable",
    name === undefined
      ? `unknown command: ${hex}`
      : `${name} is not supported by this daemon (command ${hex})`,
  );
}

/** All requests with an answer, by command number; for others see {@linkcode notServed}. */
export const COMMANDS: ReadonlyMap<number, Command> = new Map<number, Command>([
  [Cmd.Bind, bind],
  [Cmd.Unbind, unbind],
  [Cmd.Dial, dial],
  [Cmd.Info, ({ backend }) => json(Cmd.InfoOk, backend.info())],
  [Cmd.Health, ({ backend }) => json(Cmd.HealthOk, backend.health())],
  [Cmd.Handshake, runHandshake],
  [Cmd.ResolveHostname, resolveHostname],
  [Cmd.SetHostname, setHostname],
  [Cmd.SetVisibility, setVisibility],
  [Cmd.SetTags, setTags],
  [Cmd.Deregister, deregister],
  [Cmd.Network, runNetwork],
  [Cmd.Managed, runManaged],
  [Cmd.Lookup, lookup],
  [Cmd.Ping, ping],
  [Cmd.HandshakeTarget, handshakeTarget],
  [Cmd.Path, path],
]);
