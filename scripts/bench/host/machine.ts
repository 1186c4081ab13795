/**
 * What the figures were measured on.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import process from "node:process";

/** A machine, as far as it says. */
export interface Machine {
  /** Operating system and architecture. */
  readonly os: string;
  /** Kernel release. */
  readonly kernel: string;
  /** Processor. */
  readonly cpu: string;
  /** Processors this process may use. */
  readonly cores: number;
  /** Memory, 10^6 bytes. */
  readonly memory_mb: number;
  /** Runtime. */
  readonly deno: string;
  /** The Node.js that Deno's `node:` modules follow; Node itself runs nothing here. */
  readonly node: string;
  /** Load average over one minute before the run: on a busy machine the figures are too low. */
  readonly load_before: number;
  /** The same after the run. */
  load_after?: number;
  /** When the run began. */
  readonly date: string;
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Not a Linux machine: the field stays empty.
    return "";
  }
}

/** Load average over one minute, 0 where the system does not say. */
export async function load(): Promise<number> {
  return Number((await text("/proc/loadavg")).split(" ")[0] ?? 0);
}

/** Describes this machine. */
export async function machine(): Promise<Machine> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await text("/proc/cpuinfo"))?.[1] ?? "";
  return {
    os: `${Deno.build.os} ${Deno.build.arch}`,
    kernel: Deno.osRelease(),
    cpu,
    cores: navigator.hardwareConcurrency,
    memory_mb: Math.round(Deno.systemMemoryInfo().total / 1e6),
    deno: Deno.version.deno,
    node: process.versions.node,
    load_before: await load(),
    date: new Date().toISOString(),
  };
}
