/**
 * Names beside numbers in what people read.
 *
 * @module
 */

import { parseAddress } from "../protocol/address.ts";
import type { Invocation } from "./invocation.ts";

/** Names of trusted peers, as far as the daemon knows them. */
export class Names {
  readonly #byNode: ReadonlyMap<number, string>;

  private constructor(byNode: ReadonlyMap<number, string>) {
    this.#byNode = byNode;
  }

  /**
   * Asks the daemon.
   *
   * @param call The running command.
   * @returns The names; none with `--json`, whose readers have numbers, and where no daemon answers.
   */
  static async known(call: Invocation): Promise<Names> {
    const byNode = new Map<number, string>();
    if (call.json) return new Names(byNode);
    try {
      const trusted = await (await call.driver()).trust.peers({ signal: call.signal });
      for (const { node_id, hostname } of trusted) if (hostname) byNode.set(node_id, hostname);
    } catch {
      // Names are an ornament: without them the numbers say the same.
    }
    return new Names(byNode);
  }

  /**
   * The name of a node.
   *
   * @param node Its number.
   * @returns The name, or nothing.
   */
  of(node: number): string {
    return this.#byNode.get(node) ?? "";
  }

  /**
   * An address with its bearer's name behind it.
   *
   * @param address The address as it came; anything else stays as it is.
   * @param port Put behind the address.
   * @returns For example `0:0000.0000.0005:1001 (alice)`.
   */
  behind(address: string, port?: number): string {
    const shown = port === undefined ? address : `${address}:${port}`;
    let name = "";
    try {
      name = this.of(parseAddress(address).node);
    } catch {
      // A file or an older daemon may hold anything; it is shown as it is.
    }
    return name === "" ? shown : `${shown} (${name})`;
  }
}
