/**
 * `deno task settings`: writes `docs/SETTINGS.md` from the tables of settings.
 *
 * @module
 */

import { writeFile } from "node:fs/promises";
import { settingsDocument } from "./settings_doc/settings_document.ts";

await writeFile(new URL("../docs/SETTINGS.md", import.meta.url), settingsDocument());
