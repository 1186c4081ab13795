/**
 * The daemon's lifecycle events as a program sees them (docs/protocol/local-socket.md §10).
 *
 * @module
 */

import type { PilotError } from "../protocol/errors.ts";
import type {
  LifecycleEvent,
  LifecycleEventName,
  LifecycleEventOf,
} from "../protocol/lifecycle_events.ts";
import type { AbortOptions } from "./abort.ts";
import { AsyncQueue } from "./async_queue.ts";

/** Events kept for a slow program; what comes then is missed. One read from the daemon may bring two thousand. */
const MAX_QUEUED_EVENTS = 4096;
/** Bytes of them. */
const MAX_QUEUED_EVENT_BYTES = 2 * 1024 * 1024;

/** How to watch. */
export interface EventsOptions<K extends LifecycleEventName = LifecycleEventName>
  extends AbortOptions {
  /** Names of the events that are wanted; default all. */
  names?: readonly K[] | undefined;
  /** Called with the number of events missing before the next one, as they came faster than they were read. */
  onMissed?: ((count: number) => void) | undefined;
}

/** An event, or how many are missing in its place. */
interface Item {
  readonly event?: LifecycleEvent;
  readonly missed: number;
  readonly bytes: number;
}

/**
 * What happens in the daemon, made by `Driver.events`: the events since then, in order, each at most once. Where they
 * came faster than they were taken some are missing, and {@linkcode missed} and `onMissed` say how many.
 *
 * @example The first peer that opens a connection to us
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await using events = await driver.events({ names: ["conn.established", "handshake.pending"] });
 * await using listener = await driver.listen(4005);
 * const dialling = driver.dial(await driver.address(), listener.port);
 * for await (const event of events) {
 *   if (event.name === "handshake.pending") {
 *     console.log(`node ${event.data.peer_node_id} asks: ${event.data.justification}`);
 *   } else if (event.data.dst_port === listener.port) {
 *     console.log(`${event.data.src_addr} is connected`);
 *     break;
 *   }
 * }
 * await (await dialling).close();
 * ```
 */
export class DaemonEvents<K extends LifecycleEventName = LifecycleEventName>
  implements AsyncIterable<LifecycleEventOf<K>>, AsyncDisposable {
  readonly #queue = new AsyncQueue<Item>(MAX_QUEUED_EVENTS, "Waiting for an event", {
    bytesOf: ({ bytes }) => bytes,
    limitBytes: MAX_QUEUED_EVENT_BYTES,
  });
  readonly #onMissed: (count: number) => void;
  readonly #unsubscribe: () => Promise<void>;
  /** Missed behind all that waits. */
  #overflow = 0;
  #missed = 0;
  #closing: Promise<void> | undefined;

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor(options: EventsOptions<K>, unsubscribe: () => Promise<void>) {
    this.#onMissed = options.onMissed ?? (() => {});
    this.#unsubscribe = unsubscribe;
  }

  /** How many events are missing in all, up to where {@linkcode next} has come. */
  get missed(): number {
    return this.#missed;
  }

  /**
   * Waits for the next event.
   *
   * @param options Signal to stop waiting; nothing is lost by it.
   * @returns The event, or undefined after {@linkcode close}.
   * @throws {PilotError} `connection_closed` when the daemon is gone, `aborted`.
   */
  async next(options: AbortOptions = {}): Promise<LifecycleEventOf<K> | undefined> {
    for (;;) {
      if (this.#overflow > 0 && this.#queue.size === 0) {
        const count = this.#overflow;
        this.#overflow = 0;
        this.#tell(count);
      }
      const item = await this.#queue.next(options.signal);
      if (item === undefined) return undefined;
      if (item.event !== undefined) return item.event as LifecycleEventOf<K>;
      this.#tell(item.missed);
    }
  }

  /** Iterates over events, as {@linkcode next} gives them; leaving the loop closes. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<LifecycleEventOf<K>> {
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
   * Stops watching. Events that wait are dropped.
   *
   * @returns When the daemon knows.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#queue.drain();
      this.#overflow = 0;
      this.#queue.end();
      this.#closing = this.#unsubscribe();
    }
    return this.#closing;
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Takes an event from the driver.
   *
   * @ignore
   */
  offer(event: LifecycleEvent, bytes: number): void {
    // Nothing passes a gap that has not been reported.
    const isTaken = this.#overflow === 0 && this.#queue.push({ event, missed: 0, bytes });
    if (!isTaken) this.#overflow++;
  }

  /**
   * The daemon has left some out.
   *
   * @ignore
   */
  offerMissed(count: number): void {
    const isTaken = this.#overflow === 0 && this.#queue.push({ missed: count, bytes: 0 });
    if (!isTaken) this.#overflow += count;
  }

  /**
   * The daemon is gone.
   *
   * @ignore
   */
  end(error: PilotError): void {
    this.#queue.end(error);
  }

  #tell(count: number): void {
    this.#missed += count;
    this.#onMissed(count);
  }
}
