/**
 * SendTo and SendToConfirm (daemon.md §7.2).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeSendTo } from "../../protocol/ipc.ts";
import type { Backend } from "./backend.ts";
import type { Reply } from "./commands.ts";
import { MAX_DATAGRAM_BYTES_IN_FLIGHT } from "./limits.ts";
import { need, prefixed } from "./replies.ts";

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
 * Hands a datagram to the tunnel. The backend gets datagrams in the order of the calls.
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
): Promise<Reply | undefined> {
  const { address, port, data } = need(decodeSendTo(payload));
  const { budget } = options;
  const run = (): Promise<void> => {
    if (!budget.take(data.length, MAX_DATAGRAM_BYTES_IN_FLIGHT)) {
      throw new PilotError(
        "limit_exceeded",
        "too many datagrams wait for a tunnel",
      );
    }
    // A copy: the read buffer is used again, and the tunnel may have to be set up first.
    return backend.network.sendDatagram(address, port, data.slice())
      .finally(() => budget.give(data.length));
  };
  const sent = prefixed("sendto", run);
  if (options.confirm) return sent.then(() => reply(Cmd.SendToConfirmOk));
  return options.tagged ? sent.then(() => reply(Cmd.SendTo)) : sent.then(() => undefined);
}

function reply(cmd: number): Reply {
  return { cmd, payload: new Uint8Array(0) };
}
