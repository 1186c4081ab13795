/**
 * Sending a message to an agent's inbox (docs/protocol/services.md §2).
 *
 * @module
 */

import { type Address, formatAddress, type SocketAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { PORT_DATA_EXCHANGE } from "../protocol/well_known_ports.ts";
import { DATA_EXCHANGE_MAX_BYTES, DataType } from "../protocol/service/mod.ts";
import { encodeText } from "../protocol/bytes.ts";
import { type WaitOptions, withDeadline } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { DataChannel } from "./data_channel.ts";
import type { Target } from "./target.ts";

/** Longest exchange of one message when the caller sets none, milliseconds. */
const MESSAGE_TIMEOUT_MS = 60_000;

/** How a message is marked in the inbox. */
export type MessageType = "text" | "json" | "binary";

/** How to send a message. */
export interface SendMessageOptions extends WaitOptions {
  /** Default `text` for text, `binary` for bytes. */
  type?: MessageType | undefined;
}

/** What became of a message. */
export interface MessageReceipt {
  /** Who has it. */
  readonly address: Address;
  /** How it was marked. */
  readonly type: MessageType;
  /** Bytes of the message. */
  readonly bytes: number;
  /** The acknowledgement, sent after the message was stored. */
  readonly ack: string;
}

/** What service clients need of a driver. */
export interface Dialler {
  /** Opens a connection. */
  dial(target: Target, port: number, options?: WaitOptions): Promise<Conn>;
}

/**
 * Sends one message and waits for its acknowledgement.
 *
 * @param driver Opens the connection.
 * @param target The node.
 * @param data Text or bytes, at most 16 MiB.
 * @param options Type, signal; `timeoutMs` default 60 000.
 * @returns The receipt.
 * @throws {PilotError} As {@linkcode Dialler.dial}; `limit_exceeded` above 16 MiB and when the other side has no room
 * for more of this sender, `invalid_argument` for JSON that is none, `denied` when it could not store the message, `connection_closed`, `timeout`.
 */
export async function sendMessage(
  driver: Dialler,
  target: Target,
  data: string | Uint8Array,
  options: SendMessageOptions = {},
): Promise<MessageReceipt> {
  const type = options.type ?? (typeof data === "string" ? "text" : "binary");
  if (type === "json") checkJson(data);
  const payload = typeof data === "string" ? encodeText(data) : data;
  if (payload.length > DATA_EXCHANGE_MAX_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `A message holds at most ${DATA_EXCHANGE_MAX_BYTES} bytes, not ${payload.length}`,
      { hint: "Send it as a file." },
    );
  }
  const { signal, timeoutMs = MESSAGE_TIMEOUT_MS } = options;
  const what = "Sending the message";
  return await withDeadline({ signal, timeoutMs }, what, async (signal) => {
    const conn = await driver.dial(target, PORT_DATA_EXCHANGE, { signal });
    return await using(conn, async () => {
      const channel = new DataChannel(conn, peerName(conn.remote));
      await channel.send(DataType[type], payload, signal);
      const ack = await channel.acknowledged(what, signal);
      const address = conn.remoteAddress;
      return { address, type, bytes: payload.length, ack };
    });
  });
}

/**
 * Runs `work` and then closes the connection: in order without waiting when it went well, at once when it did not.
 *
 * @param conn The connection.
 * @param work What to do with it.
 * @returns What `work` returns.
 */
export async function using<T>(
  conn: Conn,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const result = await work();
    conn.close().catch(() => {
      // The answer says that everything arrived; how the connection ends does not matter any more.
    });
    return result;
  } catch (error) {
    conn.abort();
    throw error;
  }
}

/**
 * Names a peer in errors.
 *
 * @param remote The peer.
 * @returns Its address.
 */
export function peerName(remote: SocketAddress): string {
  return formatAddress(remote);
}

function checkJson(data: string | Uint8Array): void {
  try {
    JSON.parse(typeof data === "string" ? data : new TextDecoder().decode(data));
  } catch (cause) {
    throw PilotError.from(cause, "invalid_argument", "Not a JSON message");
  }
}
