/**
 * Tests against faults, in copies of the tree: the checkout is only read.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { type Mutant, mutated } from "./mutants.ts";

/** Folders that no test needs. */
const LEFT_OUT: readonly string[] = [".git", "dist", "coverage", "node_modules"];
/** A run that takes this many times as long as without a fault hangs. */
const SLOWER = 4;
/** Added to that, milliseconds: for a machine that has become busy meanwhile. */
const SLACK_MS = 15_000;

/** What tests say of a file. */
export interface Verdict {
  /** Faults that a test noticed. */
  readonly killed: readonly Mutant[];
  /** Faults that none noticed. */
  readonly survivors: readonly Mutant[];
}

/** A copy of the tree. */
class Copy implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "pilot-mutate-"));
  readonly #root: string;
  readonly #path: string;
  readonly #source: string;

  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = path;
    this.#source = readFileSync(join(root, path), "utf8");
    cpSync(root, this.#folder, {
      recursive: true,
      filter: (from) => !LEFT_OUT.includes(basename(from)),
    });
  }

  /** Do the tests pass, with the fault or without any? A run past the limit does not. */
  async passes(tests: readonly string[], limitMs: number, mutant?: Mutant): Promise<boolean> {
    const text = mutant === undefined ? this.#source : mutated(this.#source, mutant);
    writeFileSync(join(this.#folder, this.#path), text);
    return await run(this.#folder, tests, limitMs);
  }

  [Symbol.dispose](): void {
    if (this.#folder === this.#root) throw new Error("The copy is the checkout");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function run(folder: string, tests: readonly string[], limitMs: number): Promise<boolean> {
  const args = ["test", "-q", "-P=test", "--no-check", "--fail-fast", ...tests];
  // Its own group: programs that a test has started end with it.
  const child = spawn(process.execPath, args, { cwd: folder, stdio: "ignore", detached: true });
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  // Its end by force is no success, so that the promise says the rest.
  const timer = setTimeout(() => endGroup(child.pid!), limitMs);
  child.once("error", reject);
  child.once("exit", (code) => resolve(code === 0));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    if (child.pid !== undefined) endGroup(child.pid);
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of the group is left.
  }
}

/**
 * Puts faults into copies of a file, one at a time, and runs its tests against each.
 *
 * @param root The tree.
 * @param path The file, from the root.
 * @param tests Paths of tests, from the root.
 * @param mutants The faults.
 * @param options `jobs`: copies that are tested at a time. `slackMs`: added to the limit of each run; default 15 s.
 * @returns Which were noticed.
 * @throws When the tests fail without any fault.
 */
export async function tryMutants(
  root: string,
  path: string,
  tests: readonly string[],
  mutants: readonly Mutant[],
  { jobs, slackMs = SLACK_MS }: { readonly jobs: number; readonly slackMs?: number },
): Promise<Verdict> {
  const began = performance.now();
  {
    using copy = new Copy(root, path);
    if (tests.length === 0 || !await copy.passes(tests, 600_000)) {
      throw new Error(`${path}: its tests must pass without a fault first (${tests.join(" ")})`);
    }
  }
  const limitMs = SLOWER * (performance.now() - began) + slackMs;
  const survivors = new Set<Mutant>();
  const left = [...mutants];
  const work = async () => {
    using copy = new Copy(root, path);
    for (let mutant; (mutant = left.shift()) !== undefined;) {
      if (await copy.passes(tests, limitMs, mutant)) survivors.add(mutant);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, mutants.length) }, work));
  return {
    killed: mutants.filter((mutant) => !survivors.has(mutant)),
    survivors: mutants.filter((mutant) => survivors.has(mutant)),
  };
}
