/**
 * Events by topic through an agent's broker (services-cli.md §2).
 *
 * @module
 */

import { formatAddress, type SocketAddress } from "../protocol/address.ts";
import { EMPTY, encodeText } from "../protocol/bytes.ts";
import { DecodeError, PilotError } from "../protocol/errors.ts";
import { PORT_EVENT_STREAM } from "../protocol/ports.ts";
import {
  ALL_TOPICS,
  encodeEvent,
  encodeEventHeader,
  EventStreamReader,
} from "../protocol/service/mod.ts";
import { type AbortOptions, type WaitOptions, withDeadline } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { type Dialler, using } from "./messages.ts";
import type { Target } from "./target.ts";

/** Longest time for publishing one event when the caller sets none, milliseconds. */
const PUBLISH_TIMEOUT_MS = 60_000;

/** An event as subscribers see it. */
export interface TopicEvent {
  /** Exact topic it was published to. */
  readonly topic: string;
  /** Content; belongs to the receiver. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/**
 * A subscription to one topic of an agent's broker, made by `Driver.subscribe`. The same connection can publish;
 * the broker does not send a connection its own events. Events are delivered at most once.
 */
export class Subscription implements AsyncIterable<TopicEvent>, AsyncDisposable {
  /** The topic; `*` receives all. */
  readonly topic: string;
  /** The agent whose broker it is. */
  readonly remote: SocketAddress;
  readonly #conn: Conn;
  readonly #reader = new EventStreamReader();

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor(conn: Conn, topic: string) {
    this.#conn = conn;
    this.topic = topic;
    this.remote = conn.remote;
  }

  /**
   * Waits for the next event of the topic; others are dropped. Not to be called again before it has settled.
   *
   * @param options Signal to stop waiting; nothing is lost by it.
   * @returns The event, or undefined when the broker or {@linkcode close} ended the subscription.
   * @throws {PilotError} Why the connection failed, `protocol_error`, `aborted`.
   */
  async next(options: AbortOptions = {}): Promise<TopicEvent | undefined> {
    for (;;) {
      const event = this.#reader.next();
      if (event instanceof DecodeError) {
        this.#conn.abort();
        throw new PilotError(
          "protocol_error",
          `From ${formatAddress(this.remote)}: ${event.message}`,
        );
      }
      if (event !== undefined) {
        // A broker may send whatever it likes; what nobody asked for is not passed on in the topic's name.
        if (this.topic !== ALL_TOPICS && event.topic !== this.topic) continue;
        return { topic: event.topic, payload: new Uint8Array(event.payload) };
      }
      const chunk = await this.#conn.read(options);
      if (chunk === undefined) return undefined;
      this.#reader.push(chunk);
    }
  }

  /** Iterates over events; leaving the loop closes the subscription. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<TopicEvent> {
    try {
      for (;;) {
        const event = await this.next();
        if (event === undefined) return;
        yield event;
      }
    } finally {
      await this.close();
    }
  }

  /**
   * Publishes an event over this connection, to every other subscriber of its topic.
   *
   * @param topic The topic, at most 1024 bytes.
   * @param data Text or bytes, at most 16 MiB.
   * @param options Signal.
   * @returns When our daemon has taken it.
   * @throws {PilotError} As `Conn.write`; `invalid_argument`, `limit_exceeded`.
   */
  async publish(
    topic: string,
    data: string | Uint8Array,
    options: AbortOptions = {},
  ): Promise<void> {
    await writeEvent(this.#conn, topic, data, options);
  }

  /**
   * Ends the subscription.
   *
   * @returns When everything published has arrived at the broker.
   */
  close(): Promise<void> {
    return this.#conn.close();
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Subscribes to a topic.
 *
 * @param driver Opens the connection.
 * @param target Whose broker.
 * @param topic Exact topic, or `*`.
 * @param options Signal and limit of the opening.
 * @returns The subscription; the broker knows it soon after.
 */
export async function subscribe(
  driver: Dialler,
  target: Target,
  topic: string,
  options: WaitOptions = {},
): Promise<Subscription> {
  const hello = encodeEvent({ topic, payload: EMPTY });
  const conn = await driver.dial(target, PORT_EVENT_STREAM, options);
  try {
    await conn.write(hello, { signal: options.signal });
    return new Subscription(conn, topic);
  } catch (error) {
    conn.abort();
    throw error;
  }
}

/**
 * Publishes one event and waits until the broker has all of it.
 *
 * @param driver Opens the connection.
 * @param target Whose broker.
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

async function writeEvent(
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
