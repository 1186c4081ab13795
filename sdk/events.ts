/**
 * Publishing events through an agent's broker (docs/protocol/services.md §5).
 *
 * @module
 */

import { EMPTY, encodeText } from "../protocol/bytes.ts";
import { PORT_EVENT_STREAM } from "../protocol/well_known_ports.ts";
import { encodeEvent, encodeEventHeader } from "../protocol/service/mod.ts";
import { type AbortOptions, type WaitOptions, withDeadline } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { type Dialler, using } from "./messages.ts";
import type { Target } from "./target.ts";

/** Longest time for publishing one event when the caller sets none, milliseconds. */
const PUBLISH_TIMEOUT_MS = 60_000;

/**
 * Publishes one event and waits until the broker has all of it.
 *
 * @param driver Opens the connection.
 * @param target The agent that runs the broker.
 * @param topic The topic.
 * @param data Content.
 * @param options Signal; `timeoutMs` default 60 000.
 */
export async function publish(
  driver: Dialler,
  target: Target,
  topic: string,
  data: string | Uint8Array,
  options: WaitOptions = {},
): Promise<void> {
  const { signal, timeoutMs = PUBLISH_TIMEOUT_MS } = options;
  // The first event of a connection only subscribes, so that one is needed before the real one.
  const hello = encodeEvent({ topic, payload: EMPTY });
  const what = `Publishing to "${topic}"`;
  await withDeadline({ signal, timeoutMs }, what, async (signal) => {
    const conn = await driver.dial(target, PORT_EVENT_STREAM, { signal });
    await using(conn, async () => {
      const subscribed = conn.write(hello, { signal });
      await Promise.all([subscribed, writeEvent(conn, topic, data, { signal })]);
      // A close that waits for delivery: nothing else confirms an event.
      await conn.close({ signal });
    });
  });
}

/**
 * Writes one event.
 *
 * @param conn A connection that has subscribed.
 * @param topic The topic.
 * @param data Content.
 * @param options Signal.
 * @returns When our daemon has taken it.
 */
export async function writeEvent(
  conn: Conn,
  topic: string,
  data: string | Uint8Array,
  options: AbortOptions,
): Promise<void> {
  const payload = typeof data === "string" ? encodeText(data) : data;
  const header = encodeEventHeader(topic, payload.length);
  await Promise.all([
    conn.write(header, options),
    conn.write(payload, options),
  ]);
}
