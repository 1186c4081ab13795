/**
 * An emulated link for UDP: forwards between pairs of sockets with a delay and seeded loss. Started as
 * `link.ts CONFIG`; its ready line says where the ends find each other.
 *
 * @module
 */

/** Where a datagram goes. */
export interface LinkAddress {
  /** IPv4 address. */
  readonly host: string;
  /** UDP port. */
  readonly port: number;
}

/** Two ends joined by the link. */
export interface LinkRoute {
  /** Our address that stands for b towards a. */
  readonly forA: string;
  /** Our address that stands for a towards b. */
  readonly forB: string;
  /** End a; undefined learns it from its first datagram. */
  readonly a?: LinkAddress | undefined;
  /** End b. */
  readonly b: LinkAddress;
}

/** What to do. */
export interface LinkConfig {
  /** The pairs. */
  readonly routes: readonly LinkRoute[];
  /** Delay of each datagram, milliseconds. */
  readonly delayMs: number;
  /** Share lost in each direction, 0..1. */
  readonly loss: number;
  /** Decides which ones. */
  readonly seed: number;
}

/** The largest UDP payload. */
const DATAGRAM_BYTES = 65_536;
/** Datagrams on their way in one direction; more are dropped, as by any queue: 2 s at 100 Mbit/s take 17,000. */
const MAX_UNDER_WAY = 65_536;

/** Numbers of 0..1 that depend on the seed alone (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One direction of one route. */
class Direction {
  readonly #socket: Deno.DatagramConn;
  readonly #to: () => LinkAddress | undefined;
  readonly #config: LinkConfig;
  readonly #random: () => number;
  #queue: { data: Uint8Array; dueMs: number }[] = [];
  #head = 0;
  #draining = false;

  constructor(
    socket: Deno.DatagramConn,
    to: () => LinkAddress | undefined,
    { config, seed }: { config: LinkConfig; seed: number },
  ) {
    this.#socket = socket;
    this.#to = to;
    this.#config = config;
    this.#random = seededRandom(seed);
  }

  /** Takes a datagram at the near end of the link. */
  take(data: Uint8Array): void {
    if (this.#random() < this.#config.loss) return;
    if (this.#queue.length - this.#head >= MAX_UNDER_WAY) return;
    this.#queue.push({ data: data.slice(), dueMs: performance.now() + this.#config.delayMs });
    if (!this.#draining) this.#drain();
  }

  /** One after the other, so that they keep their order. */
  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#head < this.#queue.length) {
      const { data, dueMs } = this.#queue[this.#head]!;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      this.#head++;
      const to = this.#to();
      if (to !== undefined) await this.#send(data, to);
      if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
    }
    this.#queue = [];
    this.#head = 0;
    this.#draining = false;
  }

  async #send(data: Uint8Array, { host, port }: LinkAddress): Promise<void> {
    try {
      await this.#socket.send(data, { transport: "udp", hostname: host, port });
    } catch {
      // A wire does not know either whether somebody listens at its end.
    }
  }
}

function bind(hostname: string): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
}

function addressOf(address: Deno.Addr): LinkAddress {
  const { hostname, port } = address as Deno.NetAddr;
  return { host: hostname, port };
}

/** Hands everything that arrives to a direction, if `from` knows the sender. */
async function pump(
  socket: Deno.DatagramConn,
  direction: Direction,
  knows: (from: LinkAddress) => boolean,
): Promise<never> {
  const buffer = new Uint8Array(DATAGRAM_BYTES);
  for (;;) {
    try {
      const [data, from] = await socket.receive(buffer);
      if (knows(addressOf(from))) direction.take(data);
    } catch (error) {
      // What was sent to an end that is not there comes back as an error of the socket.
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }
}

function start(config: LinkConfig): { forA: LinkAddress; forB: LinkAddress }[] {
  return config.routes.map(({ forA, forB, a, b }, index) => {
    const [nearA, nearB] = [bind(forA), bind(forB)];
    let learned = a;
    const seed = config.seed + index * 2;
    pump(nearA, new Direction(nearB, () => b, { config, seed }), (from) => {
      learned ??= from;
      if (a === undefined) learned = from;
      return from.port === learned.port && from.host === learned.host;
    });
    pump(
      nearB,
      new Direction(nearA, () => learned, { config, seed: seed + 1 }),
      (from) => from.port === b.port && from.host === b.host,
    );
    return { forA: addressOf(nearA.addr), forB: addressOf(nearB.addr) };
  });
}

if (import.meta.main) {
  console.log(JSON.stringify({ routes: start(JSON.parse(Deno.args[0]!)) }));
  // Ends with its stdin, as when the benchmark is gone.
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
