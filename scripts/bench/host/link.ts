/**
 * The emulated link of a topology: its program, and what went through it.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { LinkConfig, LinkCounters } from "../programs/link_program.ts";
import type { LinkSpec } from "./link_spec.ts";
import { Program } from "./child_program.ts";
import { run } from "./run_command.ts";
import type { Topology } from "./topology.ts";

const LINK = fileURLToPath(new URL("../programs/link_program.ts", import.meta.url));
/** The same losses in every run. */
const LINK_SEED = 20_240_229;

/** Packets of one direction. */
export interface LinkTraffic extends LinkCounters {
  /** Packets dropped by the full queue in front of the limited rate. */
  dropped: number;
}

/** A running link. */
export class EmulatedLink implements AsyncDisposable {
  readonly #program: Program;
  readonly #topology: Topology;

  private constructor(program: Program, topology: Topology) {
    this.#program = program;
    this.#topology = topology;
  }

  /**
   * Starts it: from now on everything between the ends is delayed and lost as said.
   *
   * @param topology One of the kind `link`.
   * @param link Delay and loss; the rate is the topology's.
   * @param signal Gives up.
   * @returns The link.
   */
  static async start(
    topology: Topology,
    link: LinkSpec,
    signal: AbortSignal,
  ): Promise<EmulatedLink> {
    const device = topology.tun;
    if (device === undefined) {
      throw new Error(`An emulated link needs network namespaces; this is ${topology.description}`);
    }
    const config: LinkConfig = {
      device,
      b: topology.b.host,
      delayMs: link.rttMs / 2,
      loss: link.loss,
      seed: LINK_SEED,
    };
    const args = ["run", "--quiet", "-A", "--unstable-net", LINK, JSON.stringify(config)];
    const { place } = topology.hub;
    return new EmulatedLink(
      await Program.start({ name: "link", place, args, signal }),
      topology,
    );
  }

  /** What went from a to b so far. */
  async traffic(): Promise<LinkTraffic> {
    const { toB } = await this.#program.call("counters") as unknown as { toB: LinkCounters };
    return { ...toB, dropped: await this.#dropped() };
  }

  /** Stops it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#program[Symbol.asyncDispose]();
  }

  async #dropped(): Promise<number> {
    const { hub, deviceToB } = this.#topology;
    const text = await run("tc", [
      ...["-n", hub.place.namespace!, "-s", "-j", "qdisc", "show", "dev", deviceToB!, "root"],
    ]);
    const [queue] = JSON.parse(text) as { drops?: number }[];
    return queue?.drops ?? 0;
  }
}
