/**
 * Events by topic as they arrive from an agent's broker (docs/protocol/services.md §5).
 *
 * @module
 */

import { formatAddress, type SocketAddress } from "../protocol/address.ts";
import { EMPTY } from "../protocol/bytes.ts";
import { DecodeError, type ErrorCode, PilotError } from "../protocol/errors.ts";
import { PORT_EVENT_STREAM } from "../protocol/well_known_ports.ts";
import { ALL_TOPICS, encodeEvent, EventStreamReader } from "../protocol/service/mod.ts";
import { type AbortOptions, delay, type WaitOptions } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { writeEvent } from "./events.ts";
import type { Dialler } from "./messages.ts";
import type { Target } from "./target.ts";
import { every, plainClock } from "../platform/clock.ts";

/** How often a silent broker is checked for a restart, milliseconds. */
const WATCH_MS = 5_000;
/** Pause before a broken subscription is tried again, milliseconds; doubles with every failure. */
const RENEW_MS = 250;
/** Longest such pause, milliseconds. */
const RENEW_MAX_MS = 15_000;
/** Trying again cannot help. A node that is not found may be registering. */
const FINAL_CODES: readonly ErrorCode[] = [
  "aborted",
  "denied",
  "invalid_argument",
  "protocol_error",
  "untrusted",
];

/** An event as subscribers see it. */
export interface TopicEvent {
  /** Exact topic it was published to. */
  readonly topic: string;
  /** Content; belongs to the receiver. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** How to subscribe. */
export interface SubscribeOptions extends WaitOptions {
  /** Continue when the broker or the local daemon was restarted, instead of ending with an error; default false. */
  resubscribe?: boolean | undefined;
  /** With `resubscribe`: the subscription broke. What is published from now on is missed. */
  onInterrupted?: ((error: PilotError) => void) | undefined;
  /** With `resubscribe`: the subscription is restored. */
  onResumed?: (() => void) | undefined;
}

/** What subscriptions need of a driver. */
export interface EventsDriver extends Dialler {
  /** Optional abilities of the daemon. */
  readonly features: readonly string[];
  /** Measures the round trip to an agent's daemon. */
  ping(target: Target, options?: WaitOptions): Promise<unknown>;
  /** Itself, or one in its place when its daemon was lost; undefined after its close. */
  revived(options?: AbortOptions): Promise<(EventsDriver & AsyncDisposable) | undefined>;
}

/** What a subscription is made of. */
interface Subscribed {
  readonly driver: EventsDriver;
  readonly conn: Conn;
  readonly target: Target;
  readonly topic: string;
  readonly options: SubscribeOptions;
}

/**
 * A subscription to one topic of an agent's broker, made by `Driver.subscribe`. The same connection can publish;
 * the broker does not send a connection its own events. Events are delivered at most once, in order. A gap is never
 * silent: a reader that may have missed events gets an error, or with `resubscribe` a call of `onInterrupted`.
 *
 * @example The first three events, whatever happens to the broker meanwhile
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await using events = await driver.subscribe("alice", "weather", { resubscribe: true });
 * let count = 0;
 * for await (const { topic, payload } of events) {
 *   console.log(topic, new TextDecoder().decode(payload));
 *   if (++count === 3) break;
 * }
 * ```
 */
export class Subscription implements AsyncIterable<TopicEvent>, AsyncDisposable {
  /** The topic; `*` receives all. */
  readonly topic: string;
  readonly #target: Target;
  readonly #options: SubscribeOptions;
  /** Fires when the caller closes. */
  readonly #ending = new AbortController();
  #driver: EventsDriver;
  /** Ours to close. */
  #ownDriver: AsyncDisposable | undefined;
  #conn: Conn;
  #reader = new EventStreamReader();
  #isInterrupted = false;

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor({ driver, conn, target, topic, options }: Subscribed) {
    this.#driver = driver;
    this.#conn = conn;
    this.#target = target;
    this.#options = options;
    this.topic = topic;
  }

  /** The agent whose broker it is. */
  get remote(): SocketAddress {
    return this.#conn.remote;
  }

  /**
   * Waits for the next event of the topic; others are dropped. Not to be called again before it has settled.
   *
   * @param options Signal to stop waiting; nothing is lost by it.
   * @returns The event, or undefined after {@linkcode close}.
   * @throws {PilotError} `connection_closed` when the broker ended the subscription (its daemon stopped, or events came
   * faster than they were read), why the connection failed otherwise, `protocol_error`, `aborted`.
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
        // A broker may send anything; what was not subscribed to is not passed on under the topic.
        if (this.topic !== ALL_TOPICS && event.topic !== this.topic) continue;
        return { topic: event.topic, payload: new Uint8Array(event.payload) };
      }
      const chunk = await this.#read(options.signal);
      if (this.#ending.signal.aborted) return undefined;
      if (chunk !== undefined) this.#reader.push(chunk);
    }
  }

  /** Iterates over events, as {@linkcode next} gives them; leaving the loop closes the subscription. */
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
  async close(): Promise<void> {
    this.#ending.abort();
    try {
      await this.#conn.close();
    } finally {
      await this.#ownDriver?.[Symbol.asyncDispose]();
      this.#ownDriver = undefined;
    }
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The next bytes; undefined when the subscription was renewed instead, or closed. */
  async #read(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    try {
      const chunk = await this.#readWatched(signal);
      if (chunk !== undefined || this.#ending.signal.aborted) return chunk;
      throw new PilotError(
        "connection_closed",
        `The broker ${formatAddress(this.remote)} ended the subscription to "${this.topic}"`,
        {
          hint: "Its daemon was stopped, or events came faster than they were read here; " +
            "those published from now on are missed. Subscribe again, or with resubscribe.",
        },
      );
    } catch (error) {
      const failure = PilotError.from(error, "connection_failed");
      if (signal?.aborted || this.#options.resubscribe !== true) throw failure;
      await this.#renew(failure, signal);
      return undefined;
    }
  }

  /**
   * A broker that was killed says nothing, and its successor does not know its subscribers: it is queried now
   * and then, and what it cannot open makes it greet our daemon, which then ends the old connection.
   */
  async #readWatched(signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const done = new AbortController();
    const options = { signal: done.signal, timeoutMs: WATCH_MS };
    const endWatch = this.#driver.features.includes("ping")
      ? every(plainClock, WATCH_MS, () => {
        // No answer proves nothing: the stream itself knows when its peer is gone.
        this.#driver.ping(this.#conn.remoteAddress, options).catch(() => {});
      })
      : undefined;
    try {
      return await this.#conn.read({ signal });
    } finally {
      endWatch?.();
      done.abort();
    }
  }

  /** Subscribes again, for as long as it takes. */
  async #renew(failure: PilotError, signal: AbortSignal | undefined): Promise<void> {
    const ending = this.#ending.signal;
    const either = signal === undefined ? ending : AbortSignal.any([signal, ending]);
    if (!this.#isInterrupted) {
      this.#isInterrupted = true;
      this.#options.onInterrupted?.(failure);
    }
    for (let pauseMs = RENEW_MS; !ending.aborted; pauseMs = Math.min(2 * pauseMs, RENEW_MAX_MS)) {
      try {
        const driver = await this.#driver.revived({ signal: either });
        if (driver === undefined) throw new PilotError("aborted", "The driver was closed");
        if (driver !== this.#driver) {
          await this.#ownDriver?.[Symbol.asyncDispose]();
          this.#driver = this.#ownDriver = driver;
        }
        const { timeoutMs } = this.#options;
        this.#conn = await open(driver, this.#target, this.topic, { signal: either, timeoutMs });
        this.#reader = new EventStreamReader();
        this.#isInterrupted = false;
        this.#options.onResumed?.();
        return;
      } catch (error) {
        if (ending.aborted) return;
        const again = PilotError.from(error, "connection_failed");
        if (either.aborted || FINAL_CODES.includes(again.code)) throw again;
      }
      await delay(pauseMs, either, `Subscribing to "${this.topic}"`).catch((error) => {
        if (!ending.aborted) throw error;
      });
    }
  }
}

/**
 * Subscribes to a topic.
 *
 * @param driver Opens the connection.
 * @param target The agent that runs the broker.
 * @param topic Exact topic, or `*`.
 * @param options Signal and limit of the opening; whether to continue after an interruption.
 * @returns The subscription; the broker knows it soon after.
 */
export async function subscribe(
  driver: EventsDriver,
  target: Target,
  topic: string,
  options: SubscribeOptions = {},
): Promise<Subscription> {
  const conn = await open(driver, target, topic, options);
  return new Subscription({ driver, conn, target, topic, options });
}

async function open(
  driver: Dialler,
  target: Target,
  topic: string,
  { signal, timeoutMs }: WaitOptions,
): Promise<Conn> {
  const hello = encodeEvent({ topic, payload: EMPTY });
  const conn = await driver.dial(target, PORT_EVENT_STREAM, { signal, timeoutMs });
  try {
    await conn.write(hello, { signal });
    return conn;
  } catch (error) {
    conn.abort();
    throw error;
  }
}
