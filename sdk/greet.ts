/**
 * The greeting of a daemon.
 *
 * @module
 */

import {
  DecodeError,
  type ErrorCode,
  PilotError,
  type PilotErrorOptions,
} from "../protocol/errors.ts";
import {
  Cmd,
  decodeHelloOk,
  encodeHello,
  HALF_CLOSE,
  type IpcHelloOk,
} from "../protocol/ipc/mod.ts";
import type { WaitOptions } from "./abort.ts";
import type { DaemonLink } from "./daemon_link.ts";

/** What to do about a daemon that does not greet. One that is full may just close, as existing ones do. */
const GREETING_REMEDIES: Partial<Record<ErrorCode, PilotErrorOptions>> = {
  limit_exceeded: {
    hint: "End programs that are connected to this daemon; each Driver holds one place.",
  },
  connection_closed: { advice: { id: "check_daemon_clients" } },
};

/**
 * Sends Hello; a daemon that does not know it is used without tags.
 *
 * @param session The conversation; takes tags from now on where the daemon does.
 * @param options What the program calls itself, signal, limit.
 * @returns What the daemon can do; undefined for one that does not greet.
 * @throws {PilotError} `timeout`, `aborted`, `limit_exceeded`, `connection_closed`.
 */
export async function greet(
  session: DaemonLink,
  { name, signal, timeoutMs }: WaitOptions & { name: string | undefined },
): Promise<IpcHelloOk | undefined> {
  try {
    return await session.request({
      signal,
      timeoutMs,
      what: "Greeting the daemon",
      cmd: Cmd.Hello,
      expect: Cmd.HelloOk,
      payload: encodeHello({ ...(name === undefined ? {} : { name }), features: [HALF_CLOSE] }),
      decode: (payload) => {
        const hello = decodeHelloOk(payload);
        if (!(hello instanceof DecodeError)) session.enableTags(hello.features);
        return hello;
      },
    });
  } catch (error) {
    const { code, message } = PilotError.from(error, "internal");
    if (code === "unavailable") return undefined;
    const remedy = GREETING_REMEDIES[code];
    throw remedy === undefined ? error : new PilotError(code, message, { cause: error, ...remedy });
  }
}
