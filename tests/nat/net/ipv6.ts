/**
 * IPv6 beside the IPv4 of an Internet: global addresses for everybody, and a stateful firewall instead of a NAT before
 * each home. The prefixes are those for documentation.
 *
 * @module
 */

import { eventually } from "../../e2e/processes.ts";
import type { Host, Internet } from "./internet.ts";
import { IPV6_FIREWALL } from "./rules.ts";

const CORE = "2001:db8:0:1";
const DEVICE = "eth0";

/** Why there is no IPv6 in namespaces here; empty when there is. */
export function whyNotIpv6(): string {
  // Not by Deno.statSync: without --allow-all the runtime shows nothing of /proc.
  const { success } = new Deno.Command("test", { args: ["-d", "/proc/sys/net/ipv6"] }).outputSync();
  return success ? "" : "no IPv6 in this kernel";
}

/** The IPv6 of an Internet; it goes with that. */
export class Ipv6 {
  readonly #net: Internet;
  /** Address of the rendezvous. */
  readonly rendezvousHost = `${CORE}::2`;
  #homes = 0;

  private constructor(net: Internet) {
    this.#net = net;
  }

  /** Gives the router in the middle and the rendezvous IPv6. */
  static async on(net: Internet): Promise<Ipv6> {
    const ipv6 = new Ipv6(net);
    await ipv6.#forward(net.router);
    await ipv6.#address(net.router, "beacon", `${CORE}::1`);
    await ipv6.#address(net.rendezvous, "wan", ipv6.rendezvousHost, `${CORE}::1`);
    return ipv6;
  }

  /**
   * Gives a host behind a home's router a global address, and that router a firewall.
   *
   * @param host From {@linkcode Internet.host}.
   * @param options `alone`: its IPv4 address is taken away.
   * @returns The address.
   */
  async give(host: Host, options: { alone: boolean }): Promise<string> {
    const { namespaces, router } = this.#net;
    const home = `2001:db8:${(++this.#homes).toString(16)}`;
    const [outside, inside] = [`${home}:1`, `${home}:2`];
    const address = `${inside}::10`;
    await this.#forward(host.edge);
    await namespaces.nft(host.edge, IPV6_FIREWALL);
    await this.#address(router, host.link, `${outside}::1`);
    await this.#address(host.edge, "wan", `${outside}::2`, `${outside}::1`);
    await this.#address(host.edge, "lan", `${inside}::1`);
    await namespaces.ip(router, `route add ${inside}::/64 via ${outside}::2`);
    await this.#address(host.namespace, DEVICE, address, `${inside}::1`);
    if (options.alone) {
      await namespaces.ip(host.namespace, `addr del ${host.address}/24 dev ${DEVICE}`);
    }
    return address;
  }

  /** Waits until the addresses are in use that the systems have given themselves; neighbors are asked from them. */
  async settled(hosts: readonly Host[]): Promise<void> {
    const { namespaces, router, rendezvous } = this.#net;
    const all = hosts.flatMap(({ namespace, edge }) => [namespace, edge]);
    for (const namespace of [router, rendezvous, ...all]) {
      await eventually("no address is tentative", async () => {
        const text = await namespaces.exec(namespace, "ip", ["-6", "addr", "show", "tentative"]);
        return text.trim() === "" || undefined;
      });
    }
  }

  async #forward(namespace: string): Promise<void> {
    const setting = "net.ipv6.conf.all.forwarding=1";
    await this.#net.namespaces.exec(namespace, "sysctl", ["-q", "-w", setting]);
  }

  async #address(
    namespace: string,
    device: string,
    address: string,
    gateway?: string,
  ): Promise<void> {
    await this.#net.namespaces.ip(
      namespace,
      // Nobody else can have it.
      `addr add ${address}/64 dev ${device} nodad`,
      ...(gateway === undefined ? [] : [`route add default via ${gateway}`]),
    );
  }
}
