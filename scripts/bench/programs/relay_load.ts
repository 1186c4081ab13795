/**
 * A load on the beacon's relay: pairs of endpoints that send each other datagrams through it, each with a window of
 * them under way. Started as `relay_load.ts CONFIG`, told `run` by JSON lines on stdin; it ends with its stdin.
 *
 * @module
 */

import {
  BeaconType,
  encodeBeacon,
  RELAY_HEADER_BYTES,
} from "../../../protocol/beacon/beacon_message.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../../../platform/net/udp.ts";
import { eachLine } from "../../lines.ts";

/** What the load is. */
export interface RelayLoadConfig {
  /** Port of the beacon on loopback. */
  readonly port: number;
  /** Pairs of endpoints. */
  readonly pairs: number;
  /** Bytes of a datagram to the beacon. */
  readonly bytes: number;
  /** Datagrams under way in each direction of a pair. */
  readonly window: number;
}

/** How long a window stays closed before what is missing counts as lost, milliseconds. */
const LOST_MS = 50;
const HOST = "127.0.0.1";

/** One endpoint: sends to its mate, and again for each datagram that comes from it. */
class Node {
  received = 0;
  sent = 0;
  lost = 0;
  isRunning = false;
  mate!: Node;
  readonly #socket: UdpSocket;
  readonly #beacon: Endpoint;
  readonly #datagram: Uint8Array;
  readonly #known = Promise.withResolvers<void>();
  #lastMs = 0;

  constructor(
    socket: UdpSocket,
    readonly id: number,
    to: number,
    { port, bytes }: RelayLoadConfig,
  ) {
    this.#socket = socket;
    this.#beacon = { host: HOST, port };
    const frame = crypto.getRandomValues(new Uint8Array(bytes - RELAY_HEADER_BYTES));
    this.#datagram = encodeBeacon({ type: "relay", sender: id, dest: to, frame });
    socket.start((data) => this.#onDatagram(data));
  }

  /** Announces itself to the beacon. */
  async announce(): Promise<void> {
    this.#send(encodeBeacon({ type: "discover", node: this.id, ex: false }));
    await this.#known.promise;
  }

  /** Fills the window; what has not come for some time is taken for lost. */
  fill(window: number, now: number): void {
    const underWay = this.sent - this.mate.received - this.lost;
    if (underWay > 0 && now - this.#lastMs > LOST_MS) this.lost += underWay;
    for (let n = this.sent - this.mate.received - this.lost; n < window; n++) this.#push();
    this.#lastMs = now;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  #onDatagram(data: Uint8Array): void {
    if (data[0] === BeaconType.discoverReply) this.#known.resolve();
    if (data[0] !== BeaconType.relayDeliver) return;
    this.received++;
    // What arrived here has left the mate's window.
    if (this.isRunning) this.mate.next();
  }

  next(): void {
    this.#lastMs = performance.now();
    this.#push();
  }

  #push(): void {
    this.sent++;
    this.#send(this.#datagram);
  }

  #send(data: Uint8Array): void {
    const buffer = this.#socket.acquire(data.length);
    buffer.set(data);
    this.#socket.send(buffer, data.length, this.#beacon);
  }
}

class Load {
  readonly #config: RelayLoadConfig;
  readonly #nodes: Node[] = [];

  constructor(config: RelayLoadConfig) {
    this.#config = config;
  }

  async start(): Promise<void> {
    for (let pair = 0; pair < this.#config.pairs; pair++) {
      const ids = [2 * pair + 1, 2 * pair + 2] as const;
      const [a, b] = [await this.#open(ids[0], ids[1]), await this.#open(ids[1], ids[0])];
      [a.mate, b.mate] = [b, a];
      this.#nodes.push(a, b);
    }
    for (const node of this.#nodes) await node.announce();
  }

  /** Runs the load for a time; counts what arrives after the warm-up. */
  async run({ warmUpMs, ms }: { warmUpMs: number; ms: number }): Promise<object> {
    for (const node of this.#nodes) node.isRunning = true;
    const fill = () => {
      const now = performance.now();
      for (const node of this.#nodes) node.fill(this.#config.window, now);
    };
    fill();
    const filling = setInterval(fill, LOST_MS);
    await pause(warmUpMs);
    const before = this.#total();
    const startMs = performance.now();
    await pause(ms);
    const seconds = (performance.now() - startMs) / 1000;
    const after = this.#total();
    clearInterval(filling);
    for (const node of this.#nodes) node.isRunning = false;
    return {
      count: after.received - before.received,
      lost: after.lost - before.lost,
      seconds,
    };
  }

  async close(): Promise<void> {
    for (const node of this.#nodes) await node.close();
  }

  #total(): { received: number; lost: number } {
    let [received, lost] = [0, 0];
    for (const node of this.#nodes) {
      received += node.received;
      lost += node.lost;
    }
    return { received, lost };
  }

  async #open(id: number, to: number): Promise<Node> {
    return new Node(await openUdpSocket({ host: HOST, port: 0 }), id, to, this.#config);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const load = new Load(JSON.parse(Deno.args[0]!) as RelayLoadConfig);
  await load.start();
  console.log(JSON.stringify({ ready: true }));
  // One at a time: the other side waits for each answer.
  let last = Promise.resolve();
  await eachLine(Deno.stdin.readable, (line) => {
    last = last.then(() => load.run(JSON.parse(line))).then(
      (data) => console.log(JSON.stringify({ data })),
      (error) => console.log(JSON.stringify({ error: String(error) })),
    );
  });
  await last;
  await load.close();
}
