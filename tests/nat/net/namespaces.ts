/**
 * Network namespaces of one test: made, joined, given rules, and removed.
 *
 * @module
 */

import { isInstalled, isRoot, run } from "../../../scripts/bench/host/run_command.ts";
import { PREFIX } from "./leftovers.ts";

/** Programs without which there is nothing to test, with the Debian package of each. */
const TOOLS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  tc: "iproute2",
  sysctl: "procps",
  nft: "nftables",
  conntrack: "conntrack",
  tcpdump: "tcpdump",
};

/** Why nothing can be tested here; empty when it can. */
export async function whyNot(): Promise<string> {
  if (!isRoot()) return "not root on Linux, so no network namespaces";
  for (const [tool, debianPackage] of Object.entries(TOOLS)) {
    if (!await isInstalled(tool)) return `no ${tool} here (Debian package ${debianPackage})`;
  }
  try {
    await run("ip", ["netns", "list"]);
    await run("unshare", ["--net", "nft", "add", "table", "ip", "nat"]);
  } catch (error) {
    return `namespaces or nft do not work here: ${error instanceof Error ? error.message : error}`;
  }
  return "";
}

/** Namespaces and what is in them. */
export class Namespaces implements AsyncDisposable {
  readonly #prefix = `${PREFIX}${crypto.randomUUID().slice(0, 6)}`;
  readonly #names: string[] = [];

  /** Makes one; `forwards` for a router. */
  async add(suffix: string, options: { forwards?: boolean } = {}): Promise<string> {
    const name = `${this.#prefix}-${suffix}`;
    await run("ip", ["netns", "add", name]);
    this.#names.push(name);
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
    if (options.forwards) {
      await run("ip", ["netns", "exec", name, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]);
    }
    return name;
  }

  /** Joins two namespaces by a veth pair. An end without an address belongs to a bridge. */
  async join(left: End, right: End): Promise<void> {
    await run("ip", [
      ...["-n", left.namespace, "link", "add", left.device, "type", "veth"],
      ...["peer", "name", right.device, "netns", right.namespace],
    ]);
    for (const { namespace, device, address, gateway, bridge } of [left, right]) {
      const lines = [
        ...(address === undefined ? [] : [`addr add ${address} dev ${device}`]),
        ...(bridge === undefined ? [] : [`link set ${device} master ${bridge}`]),
        `link set ${device} up`,
        ...(gateway === undefined ? [] : [`route add default via ${gateway}`]),
      ];
      await this.ip(namespace, ...lines);
    }
  }

  /** Runs lines of `ip` in a namespace. */
  async ip(namespace: string, ...lines: string[]): Promise<void> {
    await run("ip", ["-n", namespace, "-batch", "-"], { input: lines.join("\n") + "\n" });
  }

  /** Loads rules in a namespace. */
  async nft(namespace: string, rules: string): Promise<void> {
    await run("ip", ["netns", "exec", namespace, "nft", "-f", "-"], { input: rules });
  }

  /** Runs a program in a namespace to its end. */
  async exec(namespace: string, command: string, args: readonly string[]): Promise<string> {
    return await run("ip", ["netns", "exec", namespace, command, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#names.splice(0)) await run("ip", ["netns", "del", name]);
  }
}

/** One end of a cable. */
export interface End {
  readonly namespace: string;
  readonly device: string;
  /** With the length of the prefix, as in 192.168.1.10/24. */
  readonly address?: string;
  /** Of the default route. */
  readonly gateway?: string;
  /** Bridge in the namespace that the end belongs to. */
  readonly bridge?: string;
}
