/**
 * `deno task demo [--json]`: a rendezvous and two daemons as separate processes in temporary homes, everything on
 * loopback. The last line is `demo: ok` (exit code 0), or says what failed (exit code 1).
 *
 * @module
 */

import { rm } from "node:fs/promises";
import { Demo } from "./demo.ts";
import { reason } from "./processes.ts";
import { Printer, type Report } from "./demo_report.ts";

/** A run takes about 10 s; one that takes this long is stuck. */
const LIMIT_MS = 90_000;
const EXIT_INTERRUPTED = 130;

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--json");
  if (unknown !== undefined) {
    console.error(`Unknown argument: ${unknown}\nUsage: deno task demo [--json]`);
    return 2;
  }
  const started = performance.now();
  const interrupt = new AbortController();
  let isInterrupted = false;
  const onSignal = () => {
    isInterrupted = true;
    interrupt.abort(new Error("interrupted"));
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  // Short, as the path of a Unix socket may have about 100 bytes.
  const directory = await Deno.makeTempDir({ prefix: "pilot-demo-" });
  const report: Report = { status: "error" };
  const printer = new Printer(args.includes("--json"));
  const limit = setTimeout(
    () => interrupt.abort(new Error(`no end after ${LIMIT_MS / 1000} s`)),
    LIMIT_MS,
  );
  const { signal } = interrupt;
  const demo = new Demo({ directory, signal, printer, report });
  try {
    await demo.run();
    report.status = "ok";
  } catch (error) {
    report.failed = demo.step;
    // Whatever was under way when the demo was ended fails in its own words.
    report.message = signal.aborted ? reason(signal.reason) : reason(error);
  } finally {
    clearTimeout(limit);
    await rm(directory, { recursive: true, force: true });
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
  report.total_ms = Math.round(performance.now() - started);
  printer.end(report);
  if (isInterrupted) return EXIT_INTERRUPTED;
  return report.status === "ok" ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
