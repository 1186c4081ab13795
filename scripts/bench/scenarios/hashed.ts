/**
 * `bulk --bytes N`: so many bytes from app to app, hashed at both ends, with the memory of both daemons watched.
 *
 * @module
 */

import { DEFAULT_VARIANT } from "../variants.ts";
import { type Ends, metered } from "../ends/ends.ts";
import { residentMb } from "../host/usage.ts";
import type { Figures, ScenarioResult } from "../bench_report.ts";
import { percentile, rounded } from "../percentiles.ts";
import { chosenPeers, compare } from "./compare.ts";
import type { Bench } from "./scenario.ts";

const SAMPLE_MS = 100;
/** Longest transfer, milliseconds: 1 GB at 1 MB/s and a bit. */
const LIMIT_MS = 1_200_000;

/** Runs it. */
export async function hashed(bench: Bench, bytes: number): Promise<ScenarioResult> {
  const { options } = bench;
  await using topology = await bench.topology({ kind: "direct" });
  const notes: string[] = [];
  const result = await compare(bench, {
    setting: bench.setting(topology),
    topology: topology.description,
    variants: options.variants ?? [DEFAULT_VARIANT],
    // iperf3 hashes nothing.
    peers: chosenPeers(bench, ["quic", "tcp"]),
    rounds: 1,
    measure: (ends) =>
      metered(ends, async () => {
        const watch = new MemoryWatch(ends.carriers);
        try {
          return await transfer(ends, bytes);
        } finally {
          notes.push(...(await watch.stop()).map((text) => `${ends.name}: ${text}`));
        }
      }),
  });
  notes.push("both ends hash on the same processors, which is in the speed");
  return { ...result, notes: [...result.notes ?? [], ...notes] };
}

async function transfer(ends: Ends, bytes: number): Promise<Figures> {
  const started = performance.now();
  const [sent, received] = await Promise.all([
    ends.client.call("send", { bytes }, LIMIT_MS),
    ends.server.call("hashed", {}, LIMIT_MS),
  ]);
  const seconds = (performance.now() - started) / 1000;
  await ends.server.call("quiet");
  if (received.bytes !== bytes || received.sha256 !== sent.sha256) {
    throw new Error(
      `${ends.name}: sent ${bytes} bytes, SHA-256 ${sent.sha256}; received ${received.bytes} ` +
        `bytes, SHA-256 ${received.sha256}`,
    );
  }
  return { mb_s: bytes / 1e6 / seconds, bytes, seconds, sha256_ok: 1 };
}

/** Samples resident memory. */
class MemoryWatch {
  readonly #pids: readonly number[];
  readonly #samples: number[][] = [];
  readonly #stop = Promise.withResolvers<void>();
  readonly #watching: Promise<void>;

  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#watching = this.#watch();
  }

  /** Ends it; one line for each process. */
  async stop(): Promise<string[]> {
    this.#stop.resolve();
    await this.#watching;
    return this.#pids.flatMap((_, index) => {
      const values = this.#samples.map((sample) => sample[index]!);
      if (values.length === 0) return [];
      const [first, median, most] = [values[0]!, percentile(values, 0.5), Math.max(...values)];
      return [
        `process ${index === 0 ? "a" : "b"}: RSS ${rounded(first)} MB at the start, ` +
        `${rounded(median)} median, ${rounded(most)} most (${values.length} samples)`,
      ];
    });
  }

  async #watch(): Promise<void> {
    if (Deno.build.os !== "linux") return;
    for (let running = true; running;) {
      try {
        this.#samples.push(await residentMb(this.#pids));
      } catch {
        // One of them has ended, which the waiters for the transfer learn.
        return;
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      const pause = new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(true), SAMPLE_MS);
      });
      running = await Promise.race([pause, this.#stop.promise.then(() => false)]);
      clearTimeout(timer);
    }
  }
}
