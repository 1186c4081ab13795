/**
 * What a scenario is.
 *
 * @module
 */

import type { BenchOptions } from "../args.ts";
import { isInstalled, isRoot } from "../host/run_command.ts";
import { loopback, namespaces, type Topology, type TopologyOptions } from "../host/topology.ts";
import type { Setting } from "../ends/ends.ts";
import type { ScenarioResult } from "../bench_report.ts";

/** One scenario. */
export interface Scenario {
  /** What it measures, one line. */
  readonly about: string;
  /** Whether it runs when no scenario is named. */
  readonly byDefault: boolean;
  /** Whether it takes minutes. */
  readonly isLong?: boolean;
  /** Runs it. Everything it starts has ended when it settles. */
  run(bench: Bench): Promise<ScenarioResult>;
}

/** What a scenario works with. */
export class Bench {
  /** The command line. */
  readonly options: BenchOptions;
  /** An empty directory of this scenario. */
  readonly directory: string;
  /** Gives up. */
  readonly signal: AbortSignal;
  /** Says what is going on, for people who wait. */
  readonly say: (text: string) => void;

  /** Made by the runner. */
  constructor(parts: Pick<Bench, "options" | "directory" | "signal" | "say">) {
    this.options = parts.options;
    this.directory = parts.directory;
    this.signal = parts.signal;
    this.say = parts.say;
  }

  /** Whether namespaces can be made, or why not. */
  async #withoutNamespaces(): Promise<string | undefined> {
    if (this.options.loopback) return "--loopback";
    if (!isRoot()) return "not root on Linux";
    return await isInstalled("ip") ? undefined : "iproute2 is not installed";
  }

  /** Namespaces where they can be made, else loopback, which its description says. */
  async topology(options: TopologyOptions): Promise<Topology> {
    const why = await this.#withoutNamespaces();
    if (why === undefined) return await namespaces(options);
    const topology = loopback();
    return { ...topology, description: `loopback (${why})` };
  }

  /** Loopback, for scenarios whose figures are about the programs alone. */
  loopback(): Topology {
    return loopback();
  }

  /** Settings for ends in a topology. */
  setting(topology: Topology): Setting {
    const { directory, signal } = this;
    return { topology, directory, signal, install: this.options.install };
  }
}
