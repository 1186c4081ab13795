/**
 * A machine on a segment: where a daemon's socket is plugged in.
 *
 * @module
 */

import type { Endpoint } from "../../../protocol/ip.ts";
import type { Uplink, VirtualSocket } from "../../daemon/harness/udp.ts";
import type { Firewall } from "./firewall.ts";
import type { Datagram, Internet, LinkOptions, Segment } from "./internet.ts";

/** Where a host is. */
export interface Place {
  readonly segment: Segment;
  readonly address: string;
  readonly link?: LinkOptions;
  readonly firewall?: Firewall;
}

/** One machine with one address, and sockets on its ports. */
export class Host implements Uplink {
  readonly #net: Internet;
  readonly #sockets = new Map<number, VirtualSocket>();
  #place: Place;
  #detach: () => void;

  constructor(net: Internet, place: Place) {
    this.#net = net;
    this.#place = place;
    this.#detach = this.#join();
  }

  /** Its address in its segment. */
  get address(): string {
    return this.#place.address;
  }

  /** Its segment. */
  get segment(): Segment {
    return this.#place.segment;
  }

  /** Leaves one network for another, as a laptop does; its sockets do not notice. */
  move(place: Place): void {
    this.#detach();
    this.#place = place;
    this.#detach = this.#join();
  }

  attach(socket: VirtualSocket): () => void {
    const { port } = socket.local;
    if (this.#sockets.has(port)) throw new Error(`port ${port} of ${this.address} is taken`);
    this.#sockets.set(port, socket);
    return () => void this.#sockets.delete(port);
  }

  send(socket: VirtualSocket, data: Uint8Array, to: Endpoint, mayFragment: boolean): void {
    const { segment, address, firewall } = this.#place;
    if (firewall?.lets("outbound", to, this.#net.clock.now()) === false) return;
    segment.send({ from: { host: address, port: socket.local.port }, to, data, mayFragment });
  }

  #join(): () => void {
    const { segment, address, link } = this.#place;
    return segment.attach(address, (datagram) => this.#receive(datagram), link);
  }

  #receive({ data, from, to }: Datagram): void {
    const { firewall } = this.#place;
    if (firewall?.lets("inbound", from, this.#net.clock.now()) === false) return;
    this.#sockets.get(to.port)?.receive(data, from);
  }
}
