/**
 * The beacon's UDP socket.
 *
 * @module
 */

import type { Logger } from "../../platform/log.ts";
import type { Clock } from "../clock.ts";
import { boundAddress, listenOn } from "../listen.ts";
import { Beacon } from "./beacon.ts";
import { RECEIVE_RETRY_MS } from "./limits.ts";
import type { MappingLimits } from "./mappings.ts";

/** Largest UDP datagram. */
const MAX_DATAGRAM = 65_535;

/** What a beacon server is made of. */
export interface BeaconServerOptions {
  /** Listen address, see `listenOn`. */
  readonly addr: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bounds of the table of nodes, other than the defaults. */
  readonly limits?: MappingLimits | undefined;
}

/** A listening beacon. */
export class BeaconServer {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  /** Its rules and state. */
  readonly beacon: Beacon;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #socket: Deno.DatagramConn;
  readonly #receiving: Promise<void>;
  #closed = false;
  #endPause: (() => void) | undefined;

  /**
   * Starts listening.
   *
   * @param options Parts.
   * @throws {PilotError} As `listenOn`.
   */
  constructor(options: BeaconServerOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.beacon = new Beacon(options.limits);
    this.#socket = listenOn(
      "beacon",
      options.addr,
      (hostname, port) => Deno.listenDatagram({ transport: "udp", hostname, port }),
    );
    this.addr = boundAddress(this.#socket.addr);
    this.#receiving = this.#receiveAll();
  }

  async #receiveAll(): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM);
    while (!this.#closed) {
      try {
        const [datagram, from] = await this.#socket.receive(buffer);
        if (from.transport === "udp") await this.#handle(datagram, from);
      } catch (error) {
        if (this.#closed) return;
        this.#log.warn("beacon cannot receive", { error: String(error) });
        await this.#pause(RECEIVE_RETRY_MS);
      }
    }
  }

  async #handle(datagram: Uint8Array, from: Deno.NetAddr): Promise<void> {
    const now = this.#clock.monotonicMs();
    for (const { bytes, to } of this.beacon.receive(datagram, from, now)) {
      try {
        await this.#socket.send(bytes, to);
      } catch {
        // The way to that node is closed just now (no route, filtered): datagrams may be lost.
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endPause = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#endPause = end;
    });
  }

  /** Stops listening. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endPause?.();
    this.#socket.close();
    await this.#receiving;
  }
}
