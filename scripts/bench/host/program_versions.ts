/**
 * Versions of what is measured, as the programs themselves say.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { run } from "./run_command.ts";

/** Longest `/NAME-VERSION/` of a Rust crate that is looked for, bytes. */
const CRATE_BYTES = 64;

/**
 * The first version number in what a program says of itself.
 *
 * @param text Such as `wireguard-go v0.0.20250522` or `Version: 1.10.3`.
 * @returns Without a leading `v`; undefined when there is none.
 */
export function versionIn(text: string): string | undefined {
  return /(?:^|[\s:])v?(\d+(?:\.\d+)+[\w.+~-]*)/.exec(text)?.[1];
}

/**
 * Asks a program for its version.
 *
 * @param command The program.
 * @param flag What makes it print its version and end.
 * @returns The version.
 * @throws {Error} When it prints none: a figure without a version is not to be published.
 */
export async function programVersion(command: string, flag: string): Promise<string> {
  const text = await run(command, [flag]);
  const version = versionIn(text);
  if (version === undefined) throw new Error(`${command} ${flag}: no version in "${text.trim()}"`);
  return version;
}

/**
 * Versions of Rust crates in an executable, by the source paths that its panic messages have.
 *
 * @param data The executable.
 * @param family What the crates' names begin with.
 * @returns Version by crate, the family's own name first; empty when the paths were stripped.
 */
export function cratesIn(data: Uint8Array, family: string): Map<string, string> {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const found = new Map<string, string>();
  const pattern = new RegExp(`^(${family}(?:-[a-z]+)*)-(\\d+\\.\\d+\\.\\d+)[\\\\/]`);
  for (let at = bytes.indexOf(family); at >= 0; at = bytes.indexOf(family, at + 1)) {
    const [, name, version] = pattern.exec(bytes.toString("latin1", at, at + CRATE_BYTES)) ?? [];
    if (name !== undefined) found.set(name, version!);
  }
  return new Map([...found].sort(([a], [b]) => a < b ? -1 : 1));
}

let quic: Promise<Map<string, string>> | undefined;

/** What QUIC in this Deno is; Deno names no version of it, its executable does. */
export async function quicVersion(): Promise<{ version: string; detail: string }> {
  const crates = await (quic ??= readFile(Deno.execPath()).then((data) => cratesIn(data, "quinn")));
  const list = [...crates].map(([name, version]) => `${name} ${version}`);
  const deno = `Deno ${Deno.version.deno}`;
  return {
    version: list[0] ?? `quinn of ${deno}`,
    detail: list.length > 0
      ? `${list.join(", ")} in ${deno}`
      : `${deno}, whose executable does not say which quinn it has`,
  };
}
