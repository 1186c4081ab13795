/**
 * Which runtime this needs.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

/** Least version of Deno: locks of files, which pid file and store rest on, came with it. */
export const LEAST_DENO = "2.8.0";

/**
 * Refuses a Deno that is too old, before something else fails for a reason that nobody understands.
 *
 * @param version The version that runs; default this process's.
 * @throws {PilotError} `unavailable`.
 */
export function checkRuntime(version: string = Deno.version.deno): void {
  const [major, minor] = partsOf(version);
  const [leastMajor, leastMinor] = partsOf(LEAST_DENO);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return;
  throw new PilotError("unavailable", `This is Deno ${version}, and ${LEAST_DENO} is needed`, {
    hint: "Run: deno upgrade, or: npm install --global deno",
  });
}

function partsOf(version: string): [number, number] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return [major, minor];
}
