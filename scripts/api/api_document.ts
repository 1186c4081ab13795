/**
 * `docs/API.md`: what each stable entry point exports, without its documentation, so that a change of the public
 * surface shows as a change of this file.
 *
 * @module
 */

import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import config from "../../deno.json" with { type: "json" };

/** May change with every release. */
const UNSTABLE = "./protocol/unstable";
/** Not part of the package. */
const LEFT_OUT: ReadonlySet<string> = new Set(["tests", "scripts", "docs", "dist", "node_modules"]);
/** Left where it hides what it stands at. */
const HIDDEN = "/** @ignore */";

const HEAD = `# Public surface

Every export of the stable entry points, as \`deno task api\` writes it; a test compares it. A line
that goes or changes breaks programs: it is a decision, told in CHANGELOG.md. \`${
  UNSTABLE.slice(2)
}\`
may change with every release.
`;

/**
 * Writes down the public surface of a working copy.
 *
 * @param root Directory of the working copy, absolute.
 * @returns Content of `docs/API.md`.
 * @throws {Error} When `deno doc` fails.
 */
export async function apiDocument(root: string): Promise<string> {
  const copy = await Deno.makeTempDir({ prefix: "pilot-api-" });
  try {
    await copyWithoutComments(root, copy);
    let document = HEAD;
    for (const [name, path] of Object.entries(config.exports)) {
      if (name === UNSTABLE) continue;
      const exports = await exportsOf(copy, path);
      if (exports === "") continue; // a program
      const specifier = join(config.name, name);
      document += `\n## \`${specifier}\`\n\n\`\`\`text\n${exports}\n\`\`\`\n`;
    }
    return document;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** `deno doc` without comments prints signatures alone. */
async function copyWithoutComments(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry;
    if (name.startsWith(".") || LEFT_OUT.has(name)) continue;
    const [source, target] = [join(from, name), join(to, name)];
    if (entry.isDirectory()) await copyWithoutComments(source, target);
    else if (name === "deno.json" || name === "deno.lock") await cp(source, target);
    else if (name.endsWith(".ts")) {
      const text = await readFile(source, "utf8");
      await writeFile(
        target,
        text.replace(/\/\*\*.*?\*\//gs, (comment) => comment.includes("@ignore") ? HIDDEN : ""),
      );
    }
  }
}

async function exportsOf(root: string, path: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", path],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`deno doc ${path}: ${text.decode(stderr)}`);
  return text.decode(stdout)
    .replace(/^Defined in .*\n/gm, "")
    .replace(/\n{2,}(?= )/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
