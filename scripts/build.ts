/**
 * `deno task build [target ...]`: `dist/` with one JavaScript file that runs wherever Deno does, and one executable
 * per platform. Executables need Deno's base binary for their platform, which Deno downloads from its own site;
 * where that cannot be reached this says so, and the exit code is 3.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";

const ROOT = new URL("..", import.meta.url);
const DIST = new URL("dist/", ROOT);
const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];
/** Everything was done but the executables, whose base binaries could not be had. */
const EXIT_NO_BASE = 3;

async function deno(...args: string[]): Promise<{ success: boolean; output: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return { success, output: (text.decode(stdout) + text.decode(stderr)).trim() };
}

/** The bundle, and proof that it runs. */
async function bundle(): Promise<boolean> {
  const path = "dist/pilot.js";
  const made = await deno("bundle", "--platform=deno", "--minify", "-o", path, "cli.ts");
  const ran = made.success ? await deno("run", "-A", "--unstable-net", path, "version") : made;
  console.log(ran.success ? `ok      ${path} (${ran.output})` : `FAILED  ${path}\n${ran.output}`);
  return ran.success;
}

/** One executable: made, failed, or not possible here. */
async function executable(target: string): Promise<"ok" | "failed" | "no base"> {
  const name = `pilot-${target}${target.includes("windows") ? ".exe" : ""}`;
  const made = await deno(
    "compile",
    "--allow-all",
    "--unstable-net",
    "--target",
    target,
    "-o",
    `dist/${name}`,
    "cli.ts",
  );
  if (made.success) {
    console.log(`ok      dist/${name}`);
    return "ok";
  }
  if (/denort|dl\.deno\.land|base binary|dns error|error sending request/i.test(made.output)) {
    console.log(`no base dist/${name}: Deno's base binary for it cannot be downloaded here`);
    return "no base";
  }
  console.log(`FAILED  dist/${name}\n${made.output}`);
  return "failed";
}

/** SHA-256 of everything in dist/, in the form of sha256sum. */
async function checksums(): Promise<void> {
  const names = (await readdir(DIST)).filter((name) => name !== "SHA256SUMS").sort();
  const lines = await Promise.all(names.map(async (name) => {
    const hash = createHash("sha256").update(await readFile(new URL(name, DIST))).digest("hex");
    return `${hash}  ${name}\n`;
  }));
  await writeFile(new URL("SHA256SUMS", DIST), lines.join(""));
}

await rm(DIST, { recursive: true, force: true });
const isBundled = await bundle();
const results: string[] = [];
for (const target of Deno.args.length > 0 ? Deno.args : TARGETS) {
  results.push(await executable(target));
}
if (isBundled) await checksums();
if (!isBundled || results.includes("failed")) {
  console.log("build: failed");
  Deno.exit(1);
}
if (results.includes("no base")) {
  console.log(
    "build: the bundle is there; executables are missing. Build them where dl.deno.land answers,\n" +
      "or set DENORT_BIN to a denort of the target's platform.",
  );
  Deno.exit(EXIT_NO_BASE);
}
console.log("build: ok");
