/**
 * `deno task bench [--json FILE] [scenario...]`: ours beside its peers, measured in the same run.
 *
 * @module
 */

import { rm, writeFile } from "node:fs/promises";
import { type BenchOptions, parseArgs, USAGE, UsageError } from "./args.ts";
import { load, machine } from "./host/machine.ts";
import { type BenchReport, table } from "./bench_report.ts";
import { SCENARIOS } from "./scenarios/mod.ts";
import { Bench } from "./scenarios/scenario.ts";

/** A scenario that takes this long, building its peers included, is stuck, milliseconds. */
const SCENARIO_LIMIT_MS = 720_000;
/** The same for scenarios that are long, or as long as the user says. */
const LONG_LIMIT_MS = 1_800_000;
const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

function usage(): string {
  const width = Math.max(...Object.keys(SCENARIOS).map((name) => name.length));
  const lines = Object.entries(SCENARIOS).map(([name, { about, byDefault }]) =>
    `  ${name.padEnd(width)}  ${about}${byDefault ? "" : " (only when named)"}`
  );
  return `${USAGE}\nScenarios:\n${lines.join("\n")}\n`;
}

/** Runs one scenario in a directory of its own. */
async function runScenario(
  name: string,
  options: BenchOptions,
  interrupt: AbortSignal,
): Promise<BenchReport["scenarios"][string]> {
  const isLong = options.bytes !== undefined || options.seconds !== undefined ||
    SCENARIOS[name]!.isLong === true;
  const limit = AbortSignal.timeout(isLong ? LONG_LIMIT_MS : SCENARIO_LIMIT_MS);
  const signal = AbortSignal.any([interrupt, limit]);
  // Short, as the path of a Unix socket may have about 100 bytes.
  const directory = await Deno.makeTempDir({ prefix: "pilot-bench-" });
  const say = Deno.stderr.isTerminal()
    ? (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${name}: ${text}`))
    : () => {};
  try {
    return await SCENARIOS[name]!.run(new Bench({ options, directory, signal, say }));
  } finally {
    if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode("\r\x1b[K"));
    await rm(directory, { recursive: true, force: true });
  }
}

async function runAll(options: BenchOptions, interrupt: AbortSignal): Promise<BenchReport> {
  const report: BenchReport = { machine: await machine(), scenarios: {} };
  const { cpu, cores, deno, node, kernel, load_before } = report.machine;
  const runtime = `Deno ${deno} (node: modules of ${node})`;
  console.log(`${cpu}, ${cores} cores, Linux ${kernel}, ${runtime}, load ${load_before}`);
  const names = options.scenarios.length > 0
    ? options.scenarios
    : Object.keys(SCENARIOS).filter((name) => SCENARIOS[name]!.byDefault);
  for (const name of names) {
    if (interrupt.aborted) break;
    const started = performance.now();
    try {
      const result = await runScenario(name, options, interrupt);
      report.scenarios[name] = result;
      console.log(`\n${table(name, result).join("\n")}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      (report.failed ??= {})[name] = why;
      console.error(`\n${name}: failed: ${why}`);
    }
    console.log(`  (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
  report.machine.load_after = await load();
  return report;
}

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions | undefined;
  try {
    options = parseArgs(args, Object.keys(SCENARIOS));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${usage()}`);
    return EXIT_USAGE;
  }
  if (options === undefined) {
    console.log(usage());
    return 0;
  }
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new Error("interrupted"));
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  // Nothing may end this process before what it started has been removed.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    interrupt.abort(event.reason);
  });
  const report = await runAll(options, interrupt.signal);
  for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
  return report.failed === undefined ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
