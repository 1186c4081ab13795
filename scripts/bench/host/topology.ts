/**
 * Where the two ends are: both on loopback, or in network namespaces of their own joined by veth pairs with MTU 1500.
 *
 * @module
 */

import { run } from "./run.ts";

/** Where a program runs and which address it has there. */
export interface Place {
  /** Network namespace; undefined for the one we are in. */
  readonly namespace: string | undefined;
  /** Its IPv4 address. */
  readonly host: string;
}

/** `direct`: a and b are neighbours. `split`: a hub between them that forwards nothing. `link`: a, router, hub, b. */
export type TopologyKind = "direct" | "split" | "link";

/** Two ends and what is between them. */
export interface Topology extends AsyncDisposable {
  /** In words, for the report. */
  readonly description: string;
  /** Whether it has namespaces. */
  readonly isolated: boolean;
  /** The end that sends and dials. */
  readonly a: Place;
  /** The end that receives and listens. */
  readonly b: Place;
  /** Where the rendezvous and relays run, and its addresses as a and as b see them. */
  readonly hub: { readonly place: Place; readonly forA: string; readonly forB: string };
}

/** How to make one. */
export interface TopologyOptions {
  /** Which. */
  readonly kind: TopologyKind;
  /** Bits per second between a and b in each direction (`link` only). */
  readonly rate?: number | undefined;
  /** Most time a packet waits for its turn at that rate, milliseconds. */
  readonly queueMs?: number;
  /** Whether the hub of `link` also forwards, so that a and b reach each other. */
  readonly forward?: boolean;
}

const LOOPBACK: Place = { namespace: undefined, host: "127.0.0.1" };
const MTU = 1500;
/** Most bytes that leave at once at a limited rate: two full GSO packets, so that the limit holds over milliseconds. */
const BURST_BYTES = 131_072;
/** Wait at a full queue when none is said, milliseconds: about what home routers have. */
const QUEUE_MS = 50;

/** Numbers the topologies of this process, for names that nobody else has. */
let count = 0;

/** Both ends on loopback. */
export function loopback(): Topology {
  return {
    description: "loopback",
    isolated: false,
    a: LOOPBACK,
    b: LOOPBACK,
    hub: { place: LOOPBACK, forA: LOOPBACK.host, forB: LOOPBACK.host },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * Makes namespaces. Needs root and iproute2.
 *
 * @param options See {@linkcode TopologyOptions}.
 * @returns The topology; disposing it removes every namespace.
 */
export async function namespaces(options: TopologyOptions): Promise<Topology> {
  const net = new Namespaces(`pilotbench${Deno.pid}-${count++}`);
  try {
    const places = await build(net, options);
    return { ...places, isolated: true, [Symbol.asyncDispose]: () => net.remove() };
  } catch (error) {
    await net.remove();
    throw error;
  }
}

type Places = Pick<Topology, "description" | "a" | "b" | "hub">;

async function build(net: Namespaces, options: TopologyOptions): Promise<Places> {
  const [a, b] = [await net.add("a"), await net.add("b")];
  const at = (namespace: string, host: string): Place => ({ namespace, host });
  if (options.kind === "direct") {
    await net.join([a, "10.77.0.1"], [b, "10.77.0.2"]);
    const place = at(a, "10.77.0.1");
    return {
      description: `two network namespaces, veth pair, MTU ${MTU}`,
      a: place,
      b: at(b, "10.77.0.2"),
      hub: { place, forA: place.host, forB: place.host },
    };
  }
  const hub = await net.add("hub");
  await net.join([hub, "10.77.2.1"], [b, "10.77.2.2"]);
  await net.route(b, "default", "10.77.2.1");
  await net.forward(hub, options.forward === true);
  if (options.kind === "split") {
    await net.join([a, "10.77.0.2"], [hub, "10.77.0.1"]);
    await net.route(a, "default", "10.77.0.1");
    return {
      description: `three network namespaces, veth pairs, MTU ${MTU}, no way round the middle one`,
      a: at(a, "10.77.0.2"),
      b: at(b, "10.77.2.2"),
      hub: { place: at(hub, "0.0.0.0"), forA: "10.77.0.1", forB: "10.77.2.1" },
    };
  }
  // The rate limit is in a router of its own: on a sender's interface the socket would wait for the queue.
  const router = await net.add("rtr");
  const [toA, fromA] = await net.join([router, "10.77.0.1"], [a, "10.77.0.2"]);
  const [toHub, fromHub] = await net.join([router, "10.77.1.1"], [hub, "10.77.1.2"]);
  await net.forward(router, true);
  await net.route(a, "default", "10.77.0.1");
  await net.route(hub, "10.77.0.0/24", "10.77.1.1");
  await net.route(router, "10.77.2.0/24", "10.77.1.2");
  // A queue of whole GSO packets would drop 64 KB of TCP at once, and single datagrams of others.
  for (const [namespace, device] of [[a, fromA], [router, toA], [router, toHub], [hub, fromHub]]) {
    await run("ip", ["-n", namespace!, "link", "set", device!, "gso_max_segs", "1"]);
  }
  if (options.rate !== undefined) {
    for (const device of [toA, toHub]) {
      await net.limit(router, device!, options.rate, options.queueMs ?? QUEUE_MS);
    }
  }
  return {
    description: `four network namespaces, veth pairs, MTU ${MTU}`,
    a: at(a, "10.77.0.2"),
    b: at(b, "10.77.2.2"),
    hub: { place: at(hub, "0.0.0.0"), forA: "10.77.1.2", forB: "10.77.2.1" },
  };
}

/** The namespaces of one topology. */
class Namespaces {
  readonly #prefix: string;
  readonly #names: string[] = [];
  #devices = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  async add(suffix: string): Promise<string> {
    const name = `${this.#prefix}-${suffix}`;
    await run("ip", ["netns", "add", name]);
    this.#names.push(name);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
    return name;
  }

  /** Joins two namespaces by a veth pair; the names of its ends. */
  async join(...ends: [namespace: string, host: string][]): Promise<string[]> {
    const devices = ends.map(() => `v${this.#devices++}`);
    const [[left], [right]] = ends as [[string, string], [string, string]];
    await run("ip", [
      ...["-n", left, "link", "add", devices[0]!, "mtu", `${MTU}`, "type", "veth"],
      ...["peer", "name", devices[1]!, "mtu", `${MTU}`, "netns", right],
    ]);
    for (const [i, [namespace, host]] of ends.entries()) {
      await run("ip", ["-n", namespace, "addr", "add", `${host}/24`, "dev", devices[i]!]);
      await run("ip", ["-n", namespace, "link", "set", devices[i]!, "up"]);
    }
    return devices;
  }

  async route(namespace: string, to: string, via: string): Promise<void> {
    await run("ip", ["-n", namespace, "route", "add", to, "via", via]);
  }

  async forward(namespace: string, on: boolean): Promise<void> {
    const value = `net.ipv4.ip_forward=${on ? 1 : 0}`;
    await run("ip", ["netns", "exec", namespace, "sysctl", "-q", "-w", value]);
  }

  async limit(namespace: string, device: string, rate: number, queueMs: number): Promise<void> {
    await run("tc", [
      ...["-n", namespace, "qdisc", "add", "dev", device, "root", "tbf"],
      ...["rate", `${Math.round(rate)}bit`, "burst", `${Math.min(BURST_BYTES, burst(rate))}`],
      ...["latency", `${queueMs}ms`],
    ]);
  }

  async remove(): Promise<void> {
    for (const name of this.#names.splice(0)) await run("ip", ["netns", "del", name]);
  }
}

/** Two milliseconds of the rate, at least some packets. */
function burst(rate: number): number {
  return Math.max(16_384, Math.round(rate / 8 * 0.002));
}
