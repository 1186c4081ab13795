/**
 * A small Internet in namespaces: a router that all public addresses hang on, the host of the rendezvous, and homes of
 * every kind. Public addresses come from the documentation ranges, and every home has the same private subnet, as homes
 * have.
 *
 * @module
 */

import { removeLeftovers } from "./leftovers.ts";
import { Namespaces } from "./namespaces.ts";
import { fullCone, PORT_RESTRICTED, REMAPPED, SYMMETRIC, udpOnlyWith } from "./rules.ts";

/** How a host is attached. */
export const KINDS = [
  "public",
  "full cone",
  "restricted",
  "symmetric",
  "double NAT",
  "same LAN",
  "blocked",
] as const;
/** One of {@linkcode KINDS}. */
export type Kind = typeof KINDS[number];

/** A host and the routers in front of it. */
export interface Host {
  readonly namespace: string;
  /** Its own address. */
  readonly address: string;
  /** The address that the Internet sees. */
  readonly publicAddress: string;
  /** The router that has that address; the host itself when it is public. */
  readonly edge: string;
  /** The device of the router in the middle that leads there. */
  readonly link: string;
}

const RENDEZVOUS_HOST = "198.51.100.2";
const HOST = "192.168.1.10";
const SECOND_HOST = "192.168.1.11";
const HOME_GATEWAY = "192.168.1.1";
const CARRIER_HOST = "100.64.0.2";
const CARRIER_GATEWAY = "100.64.0.1";
/** What leaves a limited link at once, and the longest a packet waits for it: about what home routers have. */
const BURST_BYTES = 16_384;
const QUEUE_MS = 50;

/** The world; disposing it removes all namespaces. */
export class Internet implements AsyncDisposable {
  readonly namespaces: Namespaces = new Namespaces();
  /** The namespace of the router in the middle. */
  router = "";
  /** Where the rendezvous is to run. */
  rendezvous = "";
  /** Its address. */
  readonly rendezvousHost = RENDEZVOUS_HOST;
  #links = 0;

  /** Makes the router and the host of the rendezvous. */
  static async create(): Promise<Internet> {
    await removeLeftovers();
    const net = new Internet();
    try {
      net.router = await net.namespaces.add("internet", { forwards: true });
      net.rendezvous = await net.namespaces.add("rendezvous");
      await net.namespaces.join(
        { namespace: net.router, device: "beacon", address: "198.51.100.1/30" },
        {
          namespace: net.rendezvous,
          device: "wan",
          address: `${RENDEZVOUS_HOST}/30`,
          gateway: "198.51.100.1",
        },
      );
      // A batch of datagrams would cross in one piece, and a capture show the head of the first only.
      await net.namespaces.ip(net.router, "link set beacon gso_max_segs 1");
      await net.namespaces.ip(net.rendezvous, "link set wan gso_max_segs 1");
      return net;
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes two hosts of a kind: each in a home of its own, except "same LAN". */
  async pair(kind: Kind): Promise<readonly [Host, Host]> {
    if (kind !== "same LAN") return [await this.host(kind), await this.host(kind)];
    const home = await this.#home(PORT_RESTRICTED);
    return [await this.#inside(home, HOST), await this.#inside(home, SECOND_HOST)];
  }

  /** Makes a host of a kind. */
  async host(kind: Exclude<Kind, "same LAN">): Promise<Host> {
    switch (kind) {
      case "public": {
        const namespace = await this.namespaces.add(`host${this.#links}`);
        const { address, link } = await this.#attach(namespace);
        return { namespace, address, publicAddress: address, edge: namespace, link };
      }
      case "full cone":
        return await this.#inside(await this.#home(fullCone(HOST)), HOST);
      case "restricted":
        return await this.#inside(await this.#home(PORT_RESTRICTED), HOST);
      case "symmetric":
        return await this.#inside(await this.#home(SYMMETRIC), HOST);
      case "blocked":
        return await this.#inside(await this.#home(udpOnlyWith(RENDEZVOUS_HOST)), HOST);
      case "double NAT": {
        const outer = await this.#home(PORT_RESTRICTED, `${CARRIER_GATEWAY}/24`);
        const inner = await this.#router(`inner${this.#links}`, PORT_RESTRICTED);
        await this.namespaces.join(
          { namespace: outer.namespace, device: "to0", bridge: "lan" },
          {
            namespace: inner,
            device: "wan",
            address: `${CARRIER_HOST}/24`,
            gateway: CARRIER_GATEWAY,
          },
        );
        const home = { ...outer, namespace: inner, edge: outer.namespace };
        return await this.#inside(home, HOST);
      }
    }
  }

  /** Limits what reaches a home or host from outside, bits per second. */
  async limit({ link }: Host, rate: number): Promise<void> {
    await this.namespaces.exec(this.router, "tc", [
      ...["qdisc", "add", "dev", link, "root", "tbf"],
      ...["rate", `${rate}bit`, "burst", `${BURST_BYTES}`, "latency", `${QUEUE_MS}ms`],
    ]);
  }

  /** Drops everything between two public addresses until the returned function is called. */
  async cut(a: Host, b: Host): Promise<() => Promise<void>> {
    const drop = (from: Host, to: Host) =>
      `ip saddr ${from.publicAddress} ip daddr ${to.publicAddress} drop`;
    await this.namespaces.nft(
      this.router,
      `table ip cut { chain forward {
         type filter hook forward priority filter;
         ${drop(a, b)}
         ${drop(b, a)}
       }
      }
      `,
    );
    return async () => await this.namespaces.nft(this.router, "delete table ip cut");
  }

  /** Gives all that is behind a port-restricted NAT other ports outside, in the middle of everything. */
  async remap({ edge }: Host): Promise<void> {
    await this.namespaces.nft(edge, REMAPPED);
    await this.namespaces.exec(edge, "conntrack", ["-D", "-p", "udp"]);
  }

  /** Takes a host behind a NAT to another home, as a laptop is carried away: another address inside and outside. */
  async carry(host: Host): Promise<Host> {
    const home = await this.#home(PORT_RESTRICTED);
    await this.namespaces.ip(host.namespace, "link del eth0");
    await this.#plugIn(home, host.namespace, SECOND_HOST);
    const { publicAddress, edge, link } = home;
    return { namespace: host.namespace, address: SECOND_HOST, publicAddress, edge, link };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.namespaces[Symbol.asyncDispose]();
  }

  /** Gives a namespace a public address on its device `wan`. */
  async #attach(namespace: string): Promise<{ address: string; link: string }> {
    const base = 4 * this.#links++;
    const address = `203.0.113.${base + 2}`;
    const gateway = `203.0.113.${base + 1}`;
    const link = `link${base}`;
    await this.namespaces.join(
      { namespace: this.router, device: link, address: `${gateway}/30` },
      { namespace, device: "wan", address: `${address}/30`, gateway },
    );
    return { address, link };
  }

  /** A router with a bridge for what is inside. */
  async #router(suffix: string, rules: string, inside = `${HOME_GATEWAY}/24`): Promise<string> {
    const namespace = await this.namespaces.add(suffix, { forwards: true });
    await this.namespaces.ip(
      namespace,
      "link add lan type bridge",
      `addr add ${inside} dev lan`,
      "link set lan up",
    );
    await this.namespaces.nft(namespace, rules);
    return namespace;
  }

  async #home(rules: string, inside?: string): Promise<Home> {
    const namespace = await this.#router(`nat${this.#links}`, rules, inside);
    const { address, link } = await this.#attach(namespace);
    return { namespace, publicAddress: address, edge: namespace, link };
  }

  async #inside(home: Home, address: string): Promise<Host> {
    const { publicAddress, edge, link } = home;
    const host = await this.namespaces.add(`host${this.#links}-${address.split(".")[3]}`);
    await this.#plugIn(home, host, address);
    return { namespace: host, address, publicAddress, edge, link };
  }

  async #plugIn({ namespace }: Home, host: string, address: string): Promise<void> {
    await this.namespaces.join(
      { namespace, device: `to${address.split(".")[3]}`, bridge: "lan" },
      { namespace: host, device: "eth0", address: `${address}/24`, gateway: HOME_GATEWAY },
    );
  }
}

interface Home {
  readonly namespace: string;
  readonly publicAddress: string;
  readonly edge: string;
  readonly link: string;
}
