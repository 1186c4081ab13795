/**
 * Puts together an internet with the real beacon, sites of any kind, and daemons' network halves in them.
 *
 * @module
 */

import { Identity, KeyPair } from "../../../protocol/crypto/mod.ts";
import { type Endpoint, formatIp, parseIp } from "../../../protocol/ip.ts";
import { FakeDirectory } from "../../daemon/harness/directory.ts";
import type { TestNode } from "../../daemon/harness/node.ts";
import { World } from "../../daemon/harness/world.ts";
import type { Resolution } from "../../../protocol/tunnel/tunnel_host.ts";
import { BEACON_V4, BEACON_V6, BeaconHost } from "./beacon_host.ts";
import { Firewall } from "./firewall.ts";
import { Host } from "./host.ts";
import { Internet, type LinkOptions, Segment } from "./internet.ts";
import type { Kind } from "./kinds.ts";
import { NatBox } from "./nat_box.ts";
import { Talker } from "./talk.ts";

/** Port of every daemon, on its own machine. */
export const DAEMON_PORT = 4_000;
/** Port on which agents are called. */
const TALK_PORT = 1_000;
const LAN_DELAY_MS = 1;
const ACCESS: LinkOptions = { delayMs: 5 };

/** A registry that knows what daemons register: the endpoint the beacon sees, and the LAN address. */
class Registry extends FakeDirectory {
  readonly hosts = new Map<number, Host>();

  /** As daemon/registry_entry.ts: LAN addresses are worth a try only behind the same public address. */
  override async resolve(node: number, requester: number = 0): Promise<Resolution> {
    const { endpoint } = await super.resolve(node, requester);
    const own = this.endpoints.get(requester);
    const [host, ownHost] = [this.hosts.get(node), this.hosts.get(requester)];
    const isNear = endpoint !== undefined && endpoint.host === own?.host &&
      host !== undefined && subnet(host.address) === subnet(ownHost?.address);
    return {
      endpoint,
      alternatives: isNear ? [{ host: host.address, port: DAEMON_PORT }] : [],
    };
  }
}

function subnet(address: string | undefined): string | undefined {
  return address?.split(".").slice(0, 3).join(".");
}

/** One place where hosts of a kind can be. */
export interface Site {
  readonly kind: Kind;
  /** Boxes from the Internet on; the last is nearest to the hosts. */
  readonly boxes: readonly NatBox[];
  /** Where the hosts are. */
  readonly lan: Segment;
  /** Hosts so far. */
  hosts: number;
}

/** A daemon's network half in its place. */
export interface Agent {
  readonly site: Site;
  readonly host: Host;
  /** Changes when the daemon is restarted. */
  readonly node: TestNode;
}

/** The two sides of a conversation. */
export interface Conversation {
  readonly dialer: Talker;
  readonly acceptor: Talker;
}

const identities: Identity[] = [];
const keyPairs: KeyPair[] = [];

/** Everything of one simulation. */
export class Topology implements AsyncDisposable {
  readonly world: World;
  readonly internet: Internet;
  readonly beacon: BeaconHost;
  readonly #registry = new Registry();
  /** Calls whose other side has not accepted or not been told yet. */
  readonly #calls = new Map<string, PromiseWithResolvers<Talker>>();
  #nodes = 0;
  #addresses = 0;

  constructor(options: { seed?: number } = {}) {
    this.world = new World({ hasBeacon: false, directory: this.#registry });
    this.internet = new Internet(this.world.clock, options);
    this.beacon = new BeaconHost(this.internet, (node) => this.#registry.keys.get(node));
  }

  /** A public address that nobody has. */
  address(family: 4 | 6 = 4): string {
    const number = ++this.#addresses;
    return family === 4
      ? `198.18.${number >> 8}.${number & 255}`
      : formatIp(parseIp(`2001:db8:1::${number.toString(16)}`));
  }

  /** Builds a site; `within` puts it behind the boxes of another one. */
  site(kind: Kind, options: { within?: Site } = {}): Site {
    let segment = options.within?.lan ?? this.internet.core;
    const boxes: NatBox[] = [];
    for (const [index, behavior] of kind.boxes.entries()) {
      const isLast = index === kind.boxes.length - 1;
      const inside = new Segment(this.internet, {
        name: `${kind.name} ${isLast ? "lan" : "carrier"}`,
        delayMs: LAN_DELAY_MS,
      });
      const isOutmost = segment === this.internet.core;
      const host = isOutmost ? this.address() : this.#innerAddress(segment, options.within);
      const outside = segment;
      const link = isOutmost ? ACCESS : {};
      boxes.push(new NatBox(this.internet, { behavior, inside, outside, host, link }));
      segment = inside;
    }
    return { kind, boxes, lan: segment, hosts: 0 };
  }

  #innerAddress(segment: Segment, within: Site | undefined): string {
    return within?.lan === segment ? `100.64.0.${++within.hosts + 9}` : "100.64.0.2";
  }

  /** Puts a machine into a site. */
  host(site: Site): Host {
    const { kind, lan } = site;
    const isPublic = lan === this.internet.core;
    const address = isPublic ? this.address(kind.family) : `192.168.1.${++site.hosts + 9}`;
    const host = new Host(this.internet, {
      segment: lan,
      address,
      link: isPublic ? ACCESS : {},
      ...(kind.firewall === undefined ? {} : { firewall: new Firewall(kind.firewall) }),
    });
    if (kind.isForwarded) {
      site.boxes.at(-1)!.forward(DAEMON_PORT, { host: address, port: DAEMON_PORT });
    }
    return host;
  }

  /** Starts an agent in a new machine of a site; it announces itself, and takes calls. */
  async agent(where: Kind | Site): Promise<Agent> {
    const site = "lan" in where ? where : this.site(where);
    const host = this.host(site);
    const number = ++this.#nodes;
    // Keys are made once for all simulations of a process: making them is what costs most.
    const identity = identities[number] ??= await Identity.generate();
    const keyPair = keyPairs[number] ??= await KeyPair.generate();
    this.#registry.keys.set(number, identity.publicKey);
    this.#registry.hosts.set(number, host);
    const node = await this.world.node(number, {
      endpoint: { host: host.address, port: DAEMON_PORT },
      nat: host,
      beacon: site.kind.family === 6 ? BEACON_V6 : BEACON_V4,
      identity,
      keyPair,
      isPublic: false,
      onObserved: (endpoint: Endpoint) => void this.#registry.endpoints.set(number, endpoint),
    });
    node.streams.bind(TALK_PORT, (conn) => {
      const other = conn.remoteAddress.node;
      const talker = new Talker(conn, this.world.clock, { own: number, other });
      this.#called(other, conn.remotePort, number).resolve(talker);
    });
    return { site, host, node };
  }

  /** Two agents trust each other. */
  trust(a: Agent, b: Agent): void {
    for (const [one, { node: other }] of [[a.node, b], [b.node, a]] as const) {
      one.trusted.add(other.node);
      one.pinned.set(other.node, other.identity.publicKey);
    }
  }

  /** One agent calls another; both sides can talk from then on. */
  async call(from: Agent, to: Agent, timeoutMs: number = 30_000): Promise<Conversation> {
    const [a, b] = [from.node.node, to.node.node];
    const conn = await from.node.streams.dial({ network: 0, node: b }, TALK_PORT, { timeoutMs });
    const dialer = new Talker(conn, this.world.clock, { own: a, other: b });
    const acceptor = await this.#called(a, conn.localPort, b).promise;
    return { dialer, acceptor };
  }

  #called(from: number, port: number, to: number): PromiseWithResolvers<Talker> {
    const key = `${from}:${port} ${to}`;
    let called = this.#calls.get(key);
    if (called === undefined) this.#calls.set(key, called = Promise.withResolvers());
    return called;
  }

  /** Lets time pass. */
  run(ms: number): Promise<void> {
    return this.world.run(ms);
  }

  /** Milliseconds. */
  get now(): number {
    return this.world.clock.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** How one agent reaches another now. */
export type Way = "none" | "relay" | "direct" | "lan";

/** By which way an agent sends to another, as its tunnel list says. */
export function wayOf(from: Agent, to: Agent): Way {
  const peer = from.node.tunnels.list().find(({ node_id }) => node_id === to.node.node);
  if (peer === undefined || !peer.authenticated) return "none";
  if (peer.relay) return "relay";
  const isLan = to.site.boxes.length > 0 && peer.endpoint === `${to.host.address}:${DAEMON_PORT}`;
  return isLan ? "lan" : "direct";
}

/** The worse of both directions. */
export function wayBetween(a: Agent, b: Agent): Way {
  const order: readonly Way[] = ["none", "relay", "direct", "lan"];
  const [one, other] = [wayOf(a, b), wayOf(b, a)];
  return order.indexOf(one) < order.indexOf(other) ? one : other;
}
