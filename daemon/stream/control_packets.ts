/**
 * Control packets (docs/protocol/streams.md §10): answers to pings, and pings of our own over an open tunnel.
 *
 * @module
 */

import { type Address, formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { ACK, type Packet, PROTO_CONTROL } from "../../protocol/packet.ts";
import { PORT_PING } from "../../protocol/well_known_ports.ts";
import type { Route } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import { type Rate, TokenBucket } from "../../protocol/rate_limit.ts";
import type { Gate } from "./gate.ts";
import { withLimits } from "./with_limits.ts";

/** Pings without an answer yet. */
export const MAX_PINGS = 4_096;
/** Pings answered, all peers together: an answer costs as much as the question, so this bounds work only. */
export const PONG_RATE: Rate = { perSecond: 10_000, burst: 10_000 };
/** Ping source ports, so that answers find their question; 0 and 1 are keepalives. */
const FIRST_PING_PORT = 2;
const LAST_PING_PORT = 0xffff;
/** First pause before a ping is sent again: the tunnel may have had no key yet. Doubles. */
const RESEND_MS = 250;
const PING_PAYLOAD = new TextEncoder().encode("pilot-ping");

/** What control needs from the daemon. */
export interface ControlDeps {
  readonly clock: Clock;
  readonly self: () => number;
  readonly ensure: (node: number) => Promise<void>;
  /** Sends a packet; an answer goes back by the route that the question came by. */
  readonly send: (packet: Packet, route?: Route) => void;
  readonly gate: Pick<Gate, "mayKnow" | "noteQuestion">;
}

interface Outstanding {
  readonly node: number;
  /** When each copy was sent, by its sequence number, which the answer repeats. */
  readonly sentMs: Map<number, number>;
  readonly answered: (rttMs: number, relayed: boolean) => void;
}

/** Control packets of one daemon. */
export class Control {
  readonly #deps: ControlDeps;
  readonly #pings = new Map<number, Outstanding>();
  readonly #pongs: TokenBucket;
  #nextPort = FIRST_PING_PORT;
  #nextSeq = 1;

  constructor(deps: ControlDeps) {
    this.#deps = deps;
    this.#pongs = new TokenBucket(PONG_RATE, deps.clock.now());
  }

  /**
   * Handles a control packet from an authenticated peer.
   *
   * @param packet The packet.
   * @param route The route that it came by; undefined for our own.
   */
  onPacket(packet: Packet, route: Route | undefined): void {
    if (packet.dstPort !== PORT_PING && (packet.flags & ACK) === 0) return;
    if ((packet.flags & ACK) !== 0) {
      this.#onPong(packet, route);
      return;
    }
    // Never answer an answer or an empty keepalive: two daemons would never stop (§10).
    if (packet.payload.length === 0) return;
    // Strangers do not learn that we are here. Whether a node may is found out elsewhere, and the node asks again.
    if (packet.srcNode !== this.#deps.self() && this.#deps.gate.mayKnow(packet.srcNode) !== true) {
      return;
    }
    if (!this.#pongs.take(this.#deps.clock.now())) return;
    this.#deps.send({
      ...packet,
      flags: ACK,
      srcNetwork: packet.dstNetwork,
      srcNode: packet.dstNode,
      dstNetwork: packet.srcNetwork,
      dstNode: packet.srcNode,
      srcPort: PORT_PING,
      dstPort: packet.srcPort,
      ack: (packet.seq + 1) >>> 0,
    }, route);
  }

  /**
   * Measures a round trip to a peer's daemon.
   *
   * @throws {PilotError} As `ensure`, or `timeout`, `aborted`, `limit_exceeded`.
   */
  async ping(
    address: Address,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ rttMs: number; relayed: boolean }> {
    const { clock, ensure, self } = this.#deps;
    const { signal } = options;
    const startMs = clock.now();
    if (address.node !== self()) {
      this.#deps.gate.noteQuestion(address.node);
      const what = `Ping of ${formatAddress(address)}`;
      await withLimits(ensure(address.node), { ...options, signal, clock, what });
    }
    if (signal?.aborted) throw new PilotError("aborted", "The ping was cancelled");
    const timeoutMs = Math.max(1, options.timeoutMs - (clock.now() - startMs));
    const port = this.#freePort();
    return await new Promise((resolve, reject) => {
      let cancelResend = () => {};
      const finish = () => {
        this.#pings.delete(port);
        cancelTimeout();
        cancelResend();
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        finish();
        reject(new PilotError("aborted", "The ping was cancelled", { cause: signal?.reason }));
      };
      const cancelTimeout = clock.after(timeoutMs, () => {
        finish();
        reject(
          new PilotError(
            "timeout",
            `No answer from ${formatAddress(address)} in ${options.timeoutMs} ms`,
            {
              advice: { id: "check_peer" },
            },
          ),
        );
      });
      const outstanding: Outstanding = {
        node: address.node,
        sentMs: new Map(),
        answered: (rttMs, relayed) => {
          finish();
          resolve({ rttMs, relayed });
        },
      };
      const send = (afterMs: number) => {
        outstanding.sentMs.set(this.#nextSeq, clock.now());
        this.#sendPing(address, port);
        cancelResend = clock.after(afterMs, () => send(afterMs * 2));
      };
      this.#pings.set(port, outstanding);
      signal?.addEventListener("abort", onAbort, { once: true });
      send(RESEND_MS);
    });
  }

  #onPong(packet: Packet, route: Route | undefined): void {
    const ping = this.#pings.get(packet.dstPort);
    if (ping === undefined || ping.node !== packet.srcNode) return;
    const sentMs = ping.sentMs.get(packet.seq);
    if (sentMs !== undefined) {
      ping.answered(this.#deps.clock.now() - sentMs, route?.via === "relay");
    }
  }

  #sendPing(address: Address, srcPort: number): void {
    this.#deps.send({
      flags: 0,
      protocol: PROTO_CONTROL,
      srcNetwork: address.network,
      srcNode: this.#deps.self(),
      dstNetwork: address.network,
      dstNode: address.node,
      srcPort,
      dstPort: PORT_PING,
      seq: this.#nextSeq,
      ack: 0,
      window: 0,
      payload: PING_PAYLOAD,
    });
    this.#nextSeq = (this.#nextSeq + 1) >>> 0;
  }

  #freePort(): number {
    if (this.#pings.size >= MAX_PINGS) {
      throw new PilotError("limit_exceeded", `${MAX_PINGS} pings wait for an answer already`);
    }
    do {
      this.#nextPort = this.#nextPort >= LAST_PING_PORT ? FIRST_PING_PORT : this.#nextPort + 1;
    } while (this.#pings.has(this.#nextPort));
    return this.#nextPort;
  }
}
