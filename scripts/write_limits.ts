/**
 * `deno task limits`: writes `docs/LIMITS.md` from the source.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { productSources } from "../tests/repo/sources.ts";
import { limitsOf } from "./limits/constants.ts";
import { limitsDocument } from "./limits/limits_document.ts";

const limits = limitsOf(productSources());
await writeFile(new URL("../docs/LIMITS.md", import.meta.url), limitsDocument(limits));
const silent = limits.filter(({ why }) => why === "").map(({ name, path }) => `${path}: ${name}`);
console.log(`docs/LIMITS.md: ${limits.length} limits`);
if (silent.length > 0) {
  console.log(`Without a reason beside them:\n  ${silent.join("\n  ")}`);
  Deno.exit(1);
}
