/**
 * Peers that are built from Go modules, of pinned versions.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { isInstalled, run } from "./run_command.ts";

/** Where Go is when the search path does not have it: where its own instructions put it. */
const USUAL_GO = "/usr/local/go/bin/go";
/** Time to download and build one module, milliseconds: on two busy cores it has taken 90 s. */
const BUILD_MS = 240_000;
/** Lines of Go's own words in a reason. */
const REASON_LINES = 3;

/** Programs of one module. */
export interface GoModule {
  /** The module. */
  readonly path: string;
  /** Exactly this version, as Go names it. */
  readonly version: string;
  /** Its packages that are programs, below the module; "" is the module itself. */
  readonly packages: readonly string[];
}

/** Programs that are there. */
export interface GoPrograms {
  /** The directory that has them, each by the last name of its package. */
  readonly directory: string;
  /** In words: module, version, and what built it. */
  readonly origin: string;
}

/** May it be built, and until when. */
export interface BuildOptions {
  /** Something may be downloaded and built. */
  readonly install: boolean;
  /** Gives up. */
  readonly signal: AbortSignal;
  /** The Go to build with; default the one of this machine. */
  readonly go?: string;
  /** The directory that keeps what was built; default `pilot-bench` of the user's cache. */
  readonly home?: string;
}

/** What came of each module in this process: what failed once is not tried for every scenario. */
const known = new Map<string, Promise<GoPrograms | string>>();

/**
 * Sees to it that programs of a Go module are there. They are kept in the benchmark's own directory; what the build
 * needs besides is removed. Modules come from where `go env` says.
 *
 * @param module Which.
 * @param options See {@linkcode BuildOptions}.
 * @returns The programs, or why they are not there.
 */
export async function goPrograms(
  module: GoModule,
  options: BuildOptions,
): Promise<GoPrograms | string> {
  const home = options.home ?? userHome();
  const key = [home, module.path, module.version].join(" ");
  const result = known.get(key) ?? build(module, { ...options, home });
  known.set(key, result);
  try {
    return await result;
  } catch (error) {
    known.delete(key);
    throw error;
  }
}

function userHome(): string {
  return join(Deno.env.get("XDG_CACHE_HOME") || join(homedir(), ".cache"), "pilot-bench");
}

async function findGo(): Promise<string | undefined> {
  if (await isInstalled("go")) return "go";
  return existsSync(USUAL_GO) ? USUAL_GO : undefined;
}

async function build(
  module: GoModule,
  { install, signal, home, ...options }: BuildOptions & { readonly home: string },
): Promise<GoPrograms | string> {
  const go = options.go ?? await findGo();
  if (go === undefined) return "Go is not installed";
  const compiler = (await run(go, ["env", "GOVERSION"])).trim();
  const origin = `Go module ${module.path} ${module.version}, built with ${compiler}`;
  const directory = join(home, `${basename(module.path)}@${module.version}+${compiler}`);
  if (existsSync(directory)) return { directory, origin };
  if (!install) return `${module.path} ${module.version} is not built (--no-install)`;
  await mkdir(home, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(home, "build-"));
  const limit = AbortSignal.timeout(BUILD_MS);
  try {
    const packages = module.packages.map((name) =>
      `${[module.path, name].filter((part) => part !== "").join("/")}@${module.version}`
    );
    await run(go, ["install", "-modcacherw", ...packages], {
      env: {
        GOPATH: join(work, "path"),
        GOBIN: join(work, "bin"),
        GOCACHE: join(work, "cache"),
        // What builds it is what the report names; neither needs C.
        GOTOOLCHAIN: "local",
        CGO_ENABLED: "0",
      },
      signal: AbortSignal.any([signal, limit]),
    });
    await keep(join(work, "bin"), directory);
    return { directory, origin };
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) return `go install: not done within ${BUILD_MS / 1000} s`;
    return goReason(error instanceof Error ? error.message : String(error));
  } finally {
    // Compilers that an interrupted build leaves may still write for a moment.
    await rm(work, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Moves what was built to where it is kept, unless another run was first. */
async function keep(built: string, directory: string): Promise<void> {
  try {
    await rename(built, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}

/**
 * The useful part of the output of a failed `go install`.
 *
 * @param text What it printed.
 * @returns One line.
 */
export function goReason(text: string): string {
  const lines = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("go: downloading "));
  return lines.slice(-REASON_LINES).join(" ");
}
