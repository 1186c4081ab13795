/**
 * `deno task api`: writes `docs/API.md`, the public surface.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { apiDocument } from "./api/api_document.ts";

const ROOT = new URL("..", import.meta.url);
await writeFile(new URL("docs/API.md", ROOT), await apiDocument(fileURLToPath(ROOT)));
