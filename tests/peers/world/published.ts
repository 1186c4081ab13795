/**
 * The published release of existing peers: fetched from the package index into a directory of the test, checked against
 * the pinned hash, unpacked, and run as it is. Nothing is installed, and its updater is never started.
 *
 * @module
 */

import { join } from "node:path";
import { run } from "../../../scripts/bench/host/run_command.ts";

/** Its name at the package index. */
const PACKAGE = "pilotprotocol";
/** The release that is compared with. */
export const PUBLISHED_VERSION = "1.18.0";
/** SHA-256 of its wheel for Linux on x86-64. */
const WHEEL_SHA256 = "08c19477e96934097313c95cb6b018fc32e328c20f5efbff9353e2e82db4a319";
/** A fetched release may be kept here between runs. */
const CACHE_VARIABLE = "PILOT_PEERS_CACHE";

/** Where the parts of the release are. */
export interface Published {
  readonly daemon: string;
  readonly pilotctl: string;
  /** To be put into PYTHONPATH. */
  readonly python: string;
}

/** Why it cannot be had here; empty when it can. */
export async function whyNotPublished(): Promise<string> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "the pinned release is for Linux on x86-64";
  }
  try {
    await run("python3", ["-m", "pip", "--version"]);
  } catch {
    return "no python3 with pip here (Debian packages python3, python3-pip)";
  }
  if (Deno.env.get(CACHE_VARIABLE) !== undefined) return "";
  try {
    await run("python3", ["-m", "pip", "index", "versions", "--quiet", PACKAGE]);
    return "";
  } catch {
    return "pip does not reach its package index";
  }
}

/**
 * Fetches and unpacks the release.
 *
 * @param dir A directory of the test.
 * @throws {Error} When the index is not reached, or the file is not the pinned one.
 */
export async function fetchPublished(dir: string): Promise<Published> {
  const cache = Deno.env.get(CACHE_VARIABLE);
  const wheels = cache ?? join(dir, "wheels");
  const requirements = join(dir, "requirements.txt");
  await Deno.writeTextFile(
    requirements,
    `${PACKAGE}==${PUBLISHED_VERSION} --hash=sha256:${WHEEL_SHA256}\n`,
  );
  // pip takes a file that is there already only after it has checked its hash.
  await run("python3", [
    ...["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"],
    ...["--only-binary", ":all:", "--require-hashes", "--dest", wheels, "-r", requirements],
  ]);
  const wheel = [...Deno.readDirSync(wheels)].find(({ name }) =>
    name.startsWith(`${PACKAGE}-${PUBLISHED_VERSION}-`) && name.endsWith(".whl")
  );
  if (wheel === undefined) throw new Error(`pip left no wheel of ${PACKAGE} in ${wheels}`);
  const python = join(dir, "published");
  await run("python3", ["-m", "zipfile", "-e", join(wheels, wheel.name), python]);
  const bin = join(python, "pilotprotocol", "bin");
  const [daemon, pilotctl] = [join(bin, "pilot-daemon"), join(bin, "pilotctl")];
  for (const program of [daemon, pilotctl]) await Deno.chmod(program, 0o755);
  return { daemon, pilotctl, python };
}
