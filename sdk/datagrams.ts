/**
 * Unreliable messages as the application sees them.
 *
 * @module
 */

import type { Address } from "../protocol/address.ts";
import type { PilotError } from "../protocol/errors.ts";
import type { AbortOptions } from "./abort.ts";
import { AsyncQueue } from "./async_queue.ts";

/** Datagrams kept for a slow receiver; newer ones are dropped, as a network would. One read may bring hundreds. */
const MAX_QUEUED_DATAGRAMS = 2048;
/** Bytes of them: a few reads from the daemon. */
const MAX_QUEUED_BYTES = 2 * 1024 * 1024;

/** One received datagram (docs/protocol/streams.md §9). */
export interface Datagram {
  /** The authenticated sender. */
  readonly source: Address;
  /** The sender's port. */
  readonly sourcePort: number;
  /** Port it was sent to. */
  readonly port: number;
  /** Content; belongs to the receiver. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * Datagrams that arrived since it was made by `Driver.datagrams`, at most 2,048 of 2 MiB waiting.
 *
 * @example A datagram and the answer to it
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await using answers = driver.datagrams(4003);
 * await driver.sendDatagram("alice", 4002, new TextEncoder().encode("4003"));
 * for await (const { source, data } of answers) {
 *   console.log(`node ${source.node}: ${new TextDecoder().decode(data)}`);
 *   break;
 * }
 * ```
 */
export class DatagramReceiver implements AsyncIterable<Datagram>, AsyncDisposable {
  /** Only datagrams to this port; undefined takes all. */
  readonly port: number | undefined;
  readonly #queue: AsyncQueue<Datagram>;
  readonly #onClose: () => void;
  #dropped = 0;

  /**
   * Receivers are made by the driver.
   *
   * @ignore
   */
  constructor(port: number | undefined, onClose: () => void) {
    this.port = port;
    this.#queue = new AsyncQueue(
      MAX_QUEUED_DATAGRAMS,
      "Waiting for a datagram",
      { bytesOf: ({ data }) => data.length, limitBytes: MAX_QUEUED_BYTES },
    );
    this.#onClose = onClose;
  }

  /** Datagrams dropped because too many waited. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Waits for the next datagram.
   *
   * @param options Signal to stop waiting.
   * @returns The datagram, or undefined after {@linkcode close}.
   * @throws {PilotError} `connection_closed` when the daemon is gone, `aborted`.
   */
  receive(options: AbortOptions = {}): Promise<Datagram | undefined> {
    return this.#queue.next(options.signal);
  }

  /** Iterates over datagrams; leaving the loop closes the receiver. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Datagram> {
    try {
      for (;;) {
        const datagram = await this.#queue.next();
        if (datagram === undefined) return;
        yield datagram;
      }
    } finally {
      this.close();
    }
  }

  /** Stops receiving. */
  close(): void {
    this.#onClose();
    this.#queue.end();
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /**
   * Takes a datagram from the driver.
   *
   * @ignore
   */
  offer(datagram: Datagram): void {
    if (!this.#queue.push(datagram)) this.#dropped++;
  }

  /**
   * Ends the receiver: the daemon is gone.
   *
   * @ignore
   */
  end(error: PilotError): void {
    this.#queue.end(error);
  }
}
