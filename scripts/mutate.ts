/**
 * `deno task mutate [FILE...]`: puts small faults into a copy of the product, one at a time, and prints those that no
 * test notices. The same faults are chosen at every run.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, sourcesOf } from "../tests/repo/sources.ts";
import { closestTests, TARGETS } from "./mutate/closest_tests.ts";
import { equivalentOf } from "./mutate/equivalents.ts";
import { everyKth, mutantsOf } from "./mutate/mutants.ts";
import { type FileReport, placeText, reportText } from "./mutate/mutate_report.ts";
import { tryMutants } from "./mutate/trial.ts";

const HELP = `deno task mutate [FILE...] [options]

Puts small faults into a copy of each FILE, one at a time, runs the tests closest to it, and prints the faults that
none of them notices. Without FILE: ${Object.keys(TARGETS).length} files in which faults cost most.

  --max N     Faults per file, spread evenly (20)
  --all       Every fault
  --jobs N    Copies tested at a time (2)
  --list      Only list the faults and the tests
  --json      Figures as JSON`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    max: { type: "string", default: "20" },
    all: { type: "boolean", default: false },
    jobs: { type: "string", default: "2" },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const paths = positionals.length > 0 ? positionals : Object.keys(TARGETS);
const allTests = sourcesOf(["tests"]);
const reports: FileReport[] = [];
for (const path of paths) {
  const source = readFileSync(join(ROOT, path), "utf8");
  const all = mutantsOf(source);
  const chosen = values.all ? all : everyKth(all, Number(values.max));
  const mutants = chosen.filter((mutant) => equivalentOf(path, source, mutant) === undefined);
  const tests = closestTests(path, allTests);
  if (values.list) {
    console.log(`${path}: ${mutants.length} of ${all.length} mutants, tests: ${tests.join(" ")}`);
    for (const mutant of mutants) console.log(`  ${placeText(path, mutant)}`);
    continue;
  }
  const { killed, survivors } = await tryMutants(ROOT, path, tests, mutants, {
    jobs: Number(values.jobs),
  });
  const report: FileReport = {
    path,
    tried: mutants.length,
    killed: killed.length,
    equivalent: chosen.length - mutants.length,
    survivors: survivors.map((mutant) => placeText(path, mutant)),
  };
  reports.push(report);
  if (values.json) continue;
  console.log(reportText(report));
  for (const survivor of report.survivors) console.log(`  survives: ${survivor}`);
}
if (values.json) console.log(JSON.stringify(reports, null, 2));
