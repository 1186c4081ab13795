/**
 * A relay on the UDP path between two daemons and the beacon, which records every datagram.
 *
 * Each daemon gets a public side (the endpoint it registers) and a beacon side (what it takes for the beacon). A
 * datagram is forwarded so that both ends see what they would see without the relay, moved by one port number:
 *
 *   daemon -> its beacon side  ->  sent to the beacon from the daemon's public side
 *   beacon -> public side      ->  sent to the daemon from its beacon side
 *   peer   -> public side      ->  sent to the daemon from the peer's public side
 *
 * @module
 */

import type { WireRecord } from "./wire_record.ts";

/** A UDP port on loopback. */
type Port = number;

/** One daemon's two sockets in the relay. */
interface Side {
  readonly name: string;
  readonly publicSide: Deno.DatagramConn;
  readonly beaconSide: Deno.DatagramConn;
  /** The daemon's own port, learned from its first datagram to the beacon. */
  daemon: Port | undefined;
}

/** Addresses given to a daemon behind the relay. */
export interface RelayedPlaces {
  /** For `--endpoint`. */
  readonly endpoint: string;
  /** For `--beacon`. */
  readonly beacon: string;
}

const HOST = "127.0.0.1";
/** The largest UDP payload. */
const DATAGRAM_BYTES = 65_536;

/** The relay. Datagrams from ports it does not know are counted in {@linkcode strangers} and dropped. */
export class RecordingRelay implements AsyncDisposable {
  /** Datagrams that came from none of the known parties. */
  strangers = 0;
  /** Why one of the sockets has stopped working. */
  failure: unknown;
  readonly #record: WireRecord;
  readonly #beacon: Port;
  readonly #sides: Side[] = [];
  readonly #loops: Promise<void>[] = [];
  #closed = false;

  /**
   * @param record Gets every datagram once, as it arrives.
   * @param beacon Where the beacon is, `127.0.0.1:port`.
   */
  constructor(record: WireRecord, beacon: string) {
    this.#record = record;
    this.#beacon = Number(beacon.slice(beacon.lastIndexOf(":") + 1));
  }

  /**
   * Opens both sides for a daemon.
   *
   * @param name The daemon's name, for {@linkcode endpointOf}.
   * @returns What to start the daemon with.
   */
  add(name: string): RelayedPlaces {
    const side: Side = { name, publicSide: bind(), beaconSide: bind(), daemon: undefined };
    this.#sides.push(side);
    this.#loops.push(
      this.#pump(side.beaconSide, (from) => {
        side.daemon ??= from;
        return from === side.daemon ? [side.publicSide, this.#beacon] : undefined;
      }),
      this.#pump(side.publicSide, (from) => {
        const sender = from === this.#beacon
          ? side.beaconSide
          : this.#sides.find((other) => other !== side && other.daemon === from)?.publicSide;
        return sender === undefined || side.daemon === undefined
          ? undefined
          : [sender, side.daemon];
      }),
    );
    return { endpoint: this.endpointOf(name), beacon: `${HOST}:${portOf(side.beaconSide)}` };
  }

  /**
   * The public side of a daemon.
   *
   * @param name As given to {@linkcode add}.
   * @returns `127.0.0.1:port`.
   */
  endpointOf(name: string): string {
    const side = this.#sides.find((side) => side.name === name);
    if (side === undefined) throw new TypeError(`No daemon ${name} behind the relay`);
    return `${HOST}:${portOf(side.publicSide)}`;
  }

  /** Ends the relay; datagrams under way are lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { publicSide, beaconSide } of this.#sides) {
      publicSide.close();
      beaconSide.close();
    }
    await Promise.all(this.#loops);
  }

  /** Receives on one socket; `route` says from which socket to which port a datagram is forwarded. */
  async #pump(
    socket: Deno.DatagramConn,
    route: (from: Port) => [Deno.DatagramConn, Port] | undefined,
  ): Promise<void> {
    const buffer = new Uint8Array(DATAGRAM_BYTES);
    while (!this.#closed) {
      try {
        const [bytes, from] = await socket.receive(buffer);
        this.#record.add(bytes);
        const next = route((from as Deno.NetAddr).port);
        if (next === undefined) this.strangers++;
        else await next[0].send(bytes, { transport: "udp", hostname: HOST, port: next[1] });
      } catch (error) {
        // A daemon that has just been stopped refuses a datagram: on a wire that would be a lost one.
        if (this.#closed || error instanceof Deno.errors.ConnectionRefused) continue;
        this.failure ??= error;
        return;
      }
    }
  }
}

function bind(): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname: HOST, port: 0 });
}

function portOf(socket: Deno.DatagramConn): Port {
  return (socket.addr as Deno.NetAddr).port;
}
