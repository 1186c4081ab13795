/**
 * A second port of the beacon that reports an endpoint and does nothing else. A client that gets different answers
 * from the two ports sits behind a NAT whose mapping depends on the destination (RFC 4787 §4.1).
 *
 * @module
 */

import { BeaconType, decodeBeacon, encodeBeacon } from "../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { type Endpoint, parseIp } from "../../protocol/ip.ts";
import type { Clock } from "../../platform/clock.ts";
import { TokenBuckets } from "../../protocol/rate_limit.ts";
import { MAX_SOURCES, PROBE_REPLIES_BURST, PROBE_REPLIES_PER_SECOND } from "./beacon_limits.ts";
import type { BeaconSocket } from "./beacon_socket.ts";

/** Answers Discover of the right length; holds nothing but the rates. */
export class ProbePort {
  readonly #socket: BeaconSocket;
  readonly #clock: Clock;
  readonly #rate = new TokenBuckets({
    burst: PROBE_REPLIES_BURST,
    perSecond: PROBE_REPLIES_PER_SECOND,
    maxSources: MAX_SOURCES,
  });

  /**
   * Starts answering.
   *
   * @param socket The bound socket; closed by {@linkcode ProbePort.close}.
   * @param clock For the rates.
   */
  constructor(socket: BeaconSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.start((datagram, from) => this.#onDatagram(datagram, from));
  }

  /** Stops answering. */
  close(): Promise<void> {
    return this.#socket.close();
  }

  #onDatagram(datagram: Uint8Array, from: Endpoint): void {
    const reply = probeReply(datagram, from);
    if (reply === undefined || !this.#rate.take(from.host, this.#clock.now())) return;
    const buffer = this.#socket.acquire(reply.length);
    buffer.set(reply);
    this.#socket.send(buffer, reply.length, from);
  }
}

/**
 * What the probe port answers.
 *
 * @param datagram What came.
 * @param from Its sender.
 * @returns The client's endpoint (8 or 20 bytes); undefined for all but a Discover that is at least as long as that,
 * so that a forger of source addresses gains nothing. Askers pad.
 */
export function probeReply(datagram: Uint8Array, from: Endpoint): Uint8Array | undefined {
  if (datagram[0] !== BeaconType.discover) return undefined;
  if (decodeBeacon(datagram) instanceof DecodeError) return undefined;
  const reply = encodeBeacon({ type: "discover_reply", ip: parseIp(from.host), port: from.port });
  return reply.length <= datagram.length ? reply : undefined;
}
