/**
 * Where the two ends are: both on loopback, or in network namespaces of their own joined by veth pairs with MTU 1500.
 *
 * @module
 */

import { run } from "./run_command.ts";

/** Where a program runs and which address it has there. */
export interface Place {
  /** Network namespace; undefined for the one we are in. */
  readonly namespace: string | undefined;
  /** Its IPv4 address. */
  readonly host: string;
}

/**
 * `direct`: a and b are neighbors. `split`: a hub between them that forwards nothing. `link`: a router between them.
 */
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
  /** Of `link`: the TUN device in the hub that all packets between a and b take. */
  readonly tun?: string;
  /** Of `link`: the hub's device towards b. */
  readonly deviceToB?: string;
  /** Congestion control of TCP between a and b, where it is not left to the system. */
  readonly tcp?: string;
}

/** How to make one. */
export interface TopologyOptions {
  /** Which. */
  readonly kind: TopologyKind;
  /** Bits per second between a and b in each direction (`link` only). */
  readonly rate?: number | undefined;
  /** Most time a packet waits for its turn at that rate, milliseconds (`link` only). */
  readonly queueMs?: number;
}

const LOOPBACK: Place = { namespace: undefined, host: "127.0.0.1" };
const MTU = 1500;
/** Most bytes that leave at once at a limited rate. */
const BURST_BYTES = 131_072;
/** Wait at a full queue when none is said, milliseconds: about what home routers have. */
const QUEUE_MS = 50;
/** The TUN device of the emulated link, and the routing table that leads there. */
const TUN = "emu0";
const TUN_TABLE = "77";
/** Packets that wait in the TUN device while the link's program does something else: all of the largest window. */
const TUN_QUEUE_PACKETS = 20_000;
/** What TCP uses on `link`, where the kernel has it: the standard (RFC 9438), and what most Linux systems use. */
const TCP_CONGESTION = "cubic";
/** Send and receive buffers of TCP on `link`, bytes: enough for 100 Mbit/s, 200 ms and a queue of as much. */
const TCP_BUFFER_BYTES = 16 << 20;

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

type Places = Omit<Topology, "isolated" | typeof Symbol.asyncDispose>;

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
  const [toA] = await net.join([hub, "10.77.0.1"], [a, "10.77.0.2"]);
  const [toB] = await net.join([hub, "10.77.2.1"], [b, "10.77.2.2"]);
  const isCubic = options.kind === "link" && await hasTcp(TCP_CONGESTION);
  const congestion = isCubic ? ["congctl", TCP_CONGESTION] : [];
  await net.route(a, "default", ["via", "10.77.0.1", ...congestion]);
  await net.route(b, "default", ["via", "10.77.2.1", ...congestion]);
  await net.set(hub, { "net.ipv4.ip_forward": options.kind === "link" ? "1" : "0" });
  const places = {
    a: at(a, "10.77.0.2"),
    b: at(b, "10.77.2.2"),
    hub: { place: at(hub, "0.0.0.0"), forA: "10.77.0.1", forB: "10.77.2.1" },
  };
  if (options.kind === "split") {
    const what = "three network namespaces, veth pairs";
    return { ...places, description: `${what}, MTU ${MTU}, no route around the middle one` };
  }
  await net.detour(hub, [toA!, toB!]);
  for (const end of [a, b]) {
    await net.set(end, {
      // What one transfer found out must not help the next.
      "net.ipv4.tcp_no_metrics_save": "1",
      "net.ipv4.tcp_wmem": `4096 65536 ${TCP_BUFFER_BYTES}`,
      "net.ipv4.tcp_rmem": `4096 131072 ${2 * TCP_BUFFER_BYTES}`,
    });
  }
  if (options.rate !== undefined) {
    // In a router of its own: on a sender's interface the socket would wait for the queue.
    for (const device of [toA, toB]) {
      await net.limit(hub, device!, options.rate, options.queueMs ?? QUEUE_MS);
    }
  }
  return {
    ...places,
    description: `three network namespaces, veth pairs, MTU ${MTU}, the middle one a router`,
    tun: TUN,
    deviceToB: toB!,
    ...(isCubic ? { tcp: TCP_CONGESTION } : {}),
  };
}

/** What TCP does on a topology, for the report. */
export function tcpNote({ tcp }: Topology): string {
  return `congestion control of TCP: ${tcp ?? "the system's"}`;
}

/** Whether the kernel has a congestion control. */
async function hasTcp(name: string): Promise<boolean> {
  const known = await run("sysctl", ["-n", "net.ipv4.tcp_available_congestion_control"]);
  return known.trim().split(" ").includes(name);
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

  async route(namespace: string, to: string, how: readonly string[]): Promise<void> {
    await run("ip", ["-n", namespace, "route", "add", to, ...how]);
  }

  /** What comes from devices and is not for the router itself takes the TUN device first. */
  async detour(namespace: string, devices: readonly string[]): Promise<void> {
    const ip = (...line: string[]) => run("ip", ["-n", namespace, ...line]);
    await ip("tuntap", "add", "dev", TUN, "mode", "tun");
    const queue = `${TUN_QUEUE_PACKETS}`;
    await ip("link", "set", TUN, "mtu", `${MTU}`, "txqueuelen", queue, "up");
    await ip("route", "add", "default", "dev", TUN, "table", TUN_TABLE);
    for (const device of devices) await ip("rule", "add", "iif", device, "lookup", TUN_TABLE);
    // What comes back from there has addresses that are at home elsewhere.
    await this.set(namespace, {
      "net.ipv4.conf.all.rp_filter": "0",
      [`net.ipv4.conf.${TUN}.rp_filter`]: "0",
    });
  }

  async set(namespace: string, values: Readonly<Record<string, string>>): Promise<void> {
    const list = Object.entries(values).map(([name, value]) => `${name}=${value}`);
    await run("ip", ["netns", "exec", namespace, "sysctl", "-q", "-w", ...list]);
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
