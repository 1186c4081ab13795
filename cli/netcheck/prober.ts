/**
 * Asks beacons for our endpoint: Discover of node 0, which they answer and forget (docs/protocol/beacon.md §2).
 *
 * @module
 */

import { BeaconType, decodeBeacon } from "../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { type Endpoint, formatEndpoint, formatIp } from "../../protocol/ip.ts";
import { withoutZone } from "../../platform/local_addresses.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";

/** Bytes of a question: more than any answer, which is what the probe port of a beacon asks for. Beacons ignore the rest. */
export const QUESTION_BYTES = 32;
/** What a Discover has at least. */
const DISCOVER_BYTES = 5;

/** Senders of unexpected answers that are remembered: one is enough to show what is wrong. */
export const MAX_STRAYS = 4;

/** An answer. */
export interface Answer {
  /** Our endpoint as the other side sees it. */
  readonly endpoint: Endpoint;
  /** Milliseconds. */
  readonly rttMs: number;
}

/** One question. */
export interface Question {
  /** IP literal as {@linkcode formatIp} writes it, and port. */
  readonly to: Endpoint;
  /** Longest wait, milliseconds. */
  readonly timeoutMs: number;
  /** Bytes of the datagram. */
  readonly bytes?: number;
  /** Other questions are under way on this socket, so that a refusal to send may be meant for one of those. */
  readonly isBeside?: boolean;
}

/** What a {@linkcode UdpProber} needs of a socket. */
export type ProbeSocket = Pick<
  UdpSocket,
  "local" | "stats" | "forbidsFragments" | "acquire" | "send" | "start" | "close"
>;

/** Questions over one socket. Answers carry no number, so a destination is asked one question at a time. */
export class UdpProber implements AsyncDisposable {
  /** The socket. */
  readonly socket: ProbeSocket;
  readonly #waiting = new Map<string, (endpoint: Endpoint | undefined) => void>();
  readonly #asked = new Set<string>();
  readonly #strays = new Set<string>();

  /** @param socket Freshly bound; closed with the prober. */
  constructor(socket: ProbeSocket) {
    this.socket = socket;
    socket.start((data, from) => {
      const message = decodeBeacon(data);
      if (message instanceof DecodeError || message.type !== "discover_reply") return;
      const key = keyOf(from);
      if (this.#asked.has(key)) {
        this.#waiting.get(key)?.({ host: formatIp(message.ip), port: message.port });
      } else if (this.#strays.size < MAX_STRAYS) this.#strays.add(key);
    });
  }

  /** Addresses from which answers came though others were asked: `ip:port`. They are ignored. */
  get strays(): readonly string[] {
    return [...this.#strays];
  }

  /**
   * Asks once.
   *
   * @param question Destination and form of the question.
   * @returns The answer; undefined without one in time, or at once when the system refuses to send.
   */
  async ask(question: Question): Promise<Answer | undefined> {
    const { to, timeoutMs, bytes = QUESTION_BYTES, isBeside = false } = question;
    if (timeoutMs <= 0) return undefined;
    const key = keyOf(to);
    this.#asked.add(key);
    const { promise, resolve } = Promise.withResolvers<Endpoint | undefined>();
    this.#waiting.set(key, resolve);
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    const startMs = performance.now();
    try {
      const { dropped } = this.socket.stats;
      const size = Math.max(bytes, DISCOVER_BYTES);
      const buffer = this.socket.acquire(size).fill(0, 0, size);
      buffer[0] = BeaconType.discover;
      this.socket.send(buffer, size, to);
      await Promise.resolve(); // the batch leaves in a microtask
      if (!isBeside && this.socket.stats.dropped > dropped) return undefined;
      const endpoint = await promise;
      return endpoint && { endpoint, rttMs: performance.now() - startMs };
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(key);
    }
  }

  /** Ends what waits and closes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#waiting.values()) end(undefined);
    await this.socket.close();
  }
}

/** Sockets name the senders of answers without a zone. */
function keyOf({ host, port }: Endpoint): string {
  return formatEndpoint({ host: withoutZone(host), port });
}
