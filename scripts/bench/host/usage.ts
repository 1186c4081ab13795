/**
 * Processor time and memory of processes, from /proc.
 *
 * @module
 */

import { readFile } from "node:fs/promises";

/** Clock ticks per second of /proc/PID/stat: 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** Whether this system has what this module reads. */
export const HAS_PROC: boolean = Deno.build.os === "linux";

/** Processor time of one process so far, user and system, seconds. */
async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function statusMb(pid: number, field: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kib = new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
  return Number(kib ?? 0) * KIB / 1e6;
}

/** Processor time of some processes so far, seconds; undefined without /proc. */
export async function cpuSeconds(pids: readonly number[]): Promise<number | undefined> {
  if (!HAS_PROC) return undefined;
  return (await Promise.all(pids.map(cpuOf))).reduce((sum, seconds) => sum + seconds, 0);
}

/** Processor time of the whole machine so far, all that is not idle, seconds; undefined without /proc. */
export async function machineCpuSeconds(): Promise<number | undefined> {
  if (!HAS_PROC) return undefined;
  const [line] = (await readFile("/proc/stat", "utf8")).split("\n");
  const [user, nice, system, _idle, _wait, irq, softirq, steal] = line!.split(/\s+/).slice(1)
    .map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS_PER_SECOND;
}

/** The largest peak of resident memory of some processes, 10^6 bytes; undefined without /proc. */
export async function peakMb(pids: readonly number[]): Promise<number | undefined> {
  if (!HAS_PROC || pids.length === 0) return undefined;
  return Math.max(...await Promise.all(pids.map((pid) => statusMb(pid, "VmHWM"))));
}

/** Resident memory of each process now, 10^6 bytes. */
export function residentMb(pids: readonly number[]): Promise<number[]> {
  return Promise.all(pids.map((pid) => statusMb(pid, "VmRSS")));
}
