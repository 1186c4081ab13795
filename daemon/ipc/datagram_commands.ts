/**
 * SendTo and SendToConfirm (docs/protocol/local-socket.md §2).
 *
 * @module
 */

import { EMPTY } from "../../protocol/bytes.ts";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeSendTo } from "../../protocol/ipc/mod.ts";
import type { Backend } from "./backend.ts";
import type { Reply } from "./command.ts";
import { MAX_DATAGRAM_BYTES_IN_FLIGHT } from "./ipc_limits.ts";
import { commandError, prefixed, unwrap } from "./replies.ts";

/** How to send a datagram. */
export interface SendDatagramOptions {
  /** Answer `SendToConfirmOk` instead of nothing. */
  confirm: boolean;
  /** The request has an id, so it is answered in any case. */
  tagged: boolean;
  /** Counts bytes that wait for a tunnel. */
  budget: {
    take(bytes: number, limit: number): boolean;
    give(bytes: number): void;
  };
}

/**
 * Hands a datagram to the tunnel, at once when there is one. Datagrams that wait for a tunnel may be overtaken.
 *
 * @param backend The daemon.
 * @param payload Address, port and data.
 * @param options How.
 * @returns The reply, or undefined when there is none.
 * @throws {CommandError} With the prefix `sendto`.
 */
export function sendDatagram(
  backend: Backend,
  payload: Uint8Array,
  options: SendDatagramOptions,
): Reply | undefined | Promise<Reply | undefined> {
  const { address, port, data } = unwrap(decodeSendTo(payload));
  const { budget } = options;
  const reply = replyTo(options);
  try {
    if (backend.network.trySendDatagram(address, port, data)) return reply;
  } catch (thrown) {
    throw commandError("sendto", thrown);
  }
  const run = (): Promise<void> => {
    if (!budget.take(data.length, MAX_DATAGRAM_BYTES_IN_FLIGHT)) {
      throw new PilotError(
        "limit_exceeded",
        "too many datagrams wait for a tunnel",
      );
    }
    // A copy: the read buffer is used again, and the tunnel has to be set up first.
    return backend.network.sendDatagram(address, port, data.slice())
      .finally(() => budget.give(data.length));
  };
  return prefixed("sendto", run).then(() => reply);
}

const CONFIRMED: Reply = { cmd: Cmd.SendToConfirmOk, payload: EMPTY };
const SENT: Reply = { cmd: Cmd.SendTo, payload: EMPTY };

function replyTo({ confirm, tagged }: SendDatagramOptions): Reply | undefined {
  if (confirm) return CONFIRMED;
  return tagged ? SENT : undefined;
}
