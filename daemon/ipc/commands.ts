/**
 * All requests of the local socket by command number (docs/protocol/local-socket.md §2). Connection traffic (Send,
 * Close, datagrams, tags) is the session's.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeDial, decodePort, encodePort } from "../../protocol/ipc/mod.ts";
import type { Command, CommandContext, Reply } from "./command.ts";
import { CommandError, dialText, unwrap } from "./replies.ts";
import { commandsOf, SERVED_CALLS } from "./served_calls.ts";

function bind({ bind }: CommandContext, payload: Uint8Array): Reply {
  const port = unwrap(decodePort(payload));
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
  const port = unwrap(decodePort(payload));
  unbind(port);
  return { cmd: Cmd.UnbindOk, payload: encodePort(port) };
}

async function dial(
  context: CommandContext,
  payload: Uint8Array,
): Promise<undefined> {
  const { address, port } = unwrap(decodeDial(payload));
  try {
    await context.dial(address, port);
    return undefined;
  } catch (thrown) {
    const error = PilotError.from(thrown, "connection_failed");
    throw new CommandError(error, dialText(error));
  }
}

/** Sub-commands of docs/protocol/local-socket.md §6 that exist. */
const MANAGED_SUBS = 7;

/** This daemon runs no managed network engine. */
function managed(_context: CommandContext, payload: Uint8Array): Reply {
  const sub = payload[0];
  if (sub === undefined) {
    throw new PilotError("invalid_argument", "managed: missing sub-command");
  }
  if (sub < 1 || sub > MANAGED_SUBS) {
    const hex = sub.toString(16).padStart(2, "0");
    throw new PilotError("invalid_argument", `managed: unknown sub-command 0x${hex}`);
  }
  throw new PilotError("unavailable", "managed: no active managed networks");
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
  [Cmd.Managed, managed],
  ...commandsOf(SERVED_CALLS),
]);
