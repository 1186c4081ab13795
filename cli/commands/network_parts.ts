/**
 * What the commands about networks share.
 *
 * @module
 */

import { usageError } from "../command_failure.ts";
import { SECRETS } from "../../platform/settings/server_table.ts";
import type { Invocation } from "../invocation.ts";
import { roleSettings } from "../setting_options.ts";
import { table } from "../output.ts";
import { parseNetwork } from "../parse.ts";
import type { SafeText } from "../terminal_text.ts";

/** The network that is named first. */
export function networkOf(call: Invocation): number {
  return parseNetwork(call.arg(0, "network"));
}

/** A field as text; nothing for what is missing. */
export function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

/** Unix seconds as people read them; nothing for what is missing. */
export function unixTime(value: unknown): string {
  return typeof value === "number" && value > 0
    ? new Date(value * 1000).toISOString().slice(0, 19) + "Z"
    : "";
}

/** Rows of some columns of objects, or what to say when there are none. */
export function listing<Row>(
  call: Invocation,
  rows: readonly Row[],
  columns: readonly (readonly [string, (row: Row) => string])[],
  none: string,
): SafeText {
  if (rows.length === 0) return call.style.dim(none);
  const headings = columns.map(([heading]) => heading);
  return table(headings, rows.map((row) => columns.map(([, cell]) => cell(row))), call.style);
}

/** A network's token, from a file that nobody else can read, or the environment: a command line is seen by every user of the machine. */
export async function tokenOf({ host, options }: Invocation): Promise<string> {
  const path = options.text("token-file");
  if (path === undefined) return roleSettings(SECRETS, options, host.env).networkToken ?? "";
  const { readPrivateFile } = await import("../../platform/private_files.ts");
  const token = (await readPrivateFile(path))?.trim();
  if (token === undefined) throw usageError(`--token-file ${path}: no such file`);
  return token;
}
