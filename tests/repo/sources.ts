/**
 * The project's own source files, for tests that hold the rules of the house true.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
/** Folders of the product, as against tests and scripts. */
export const PRODUCT_FOLDERS: readonly string[] = [
  "protocol",
  "platform",
  "sdk",
  "cli",
  "gateway",
  "daemon",
  "rendezvous",
];

/** A TypeScript file. */
export interface SourceFile {
  /** Path from the root, with `/`. */
  readonly path: string;
  /** First folder of the path; the file's own name at the root. */
  readonly room: string;
  /** Its text. */
  readonly text: string;
}

/**
 * TypeScript files below some folders.
 *
 * @param folders Folders from the root.
 * @returns The files, by path.
 */
export function sourcesOf(folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
      .map((entry) => sourceFile(relative(ROOT, join(entry.parentPath, entry.name))))
  ).sort((a, b) => a.path < b.path ? -1 : 1);
}

/** Files of the product: its folders, `cli.ts` and `mod.ts`. */
export function productSources(): SourceFile[] {
  return [...sourcesOf(PRODUCT_FOLDERS), sourceFile("cli.ts"), sourceFile("mod.ts")];
}

function sourceFile(nativePath: string): SourceFile {
  const path = nativePath.replaceAll("\\", "/");
  return { path, room: path.split("/")[0]!, text: readFileSync(join(ROOT, path), "utf8") };
}

/** Strings first, so that what looks like a comment in one is none. */
const STRING_OR_COMMENT =
  /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[^]*?\*\//g;

/**
 * Code without comments.
 *
 * @param text TypeScript.
 * @returns The same with every comment removed.
 */
export function withoutComments(text: string): string {
  return text.replace(STRING_OR_COMMENT, (_match, string: string | undefined) => string ?? " ");
}

/**
 * Code without comments and without the content of strings.
 *
 * @param text TypeScript.
 * @returns The same with every comment removed and every string empty.
 */
export function withoutStrings(text: string): string {
  return text.replace(STRING_OR_COMMENT, (_match, string: string | undefined) =>
    // What is interpolated is code.
    string?.startsWith("`") ? [...string.matchAll(/\$\{[^]*?\}/g)].join(" ") : string ? '""' : " ");
}

/** One import, re-export or dynamic import. */
export interface Import {
  /** What is imported; a relative one as path from the root. */
  readonly from: string;
  /** Names taken from it; `*` when it is not known which. */
  readonly names: readonly string[];
}

const STATIC_IMPORT =
  /^\s*(?:import\s*|(?:import|export)\b(?:\s+type\b)?([^;"']+?)\s*\bfrom\s*)"([^"\n]+)"/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*"([^"\n]+)"/g;

/**
 * What a file imports and re-exports.
 *
 * @param file The file.
 * @returns The imports.
 */
export function importsOf(file: SourceFile): Import[] {
  const code = withoutComments(file.text);
  const resolve = (from: string) => from.startsWith(".") ? join(dirname(file.path), from) : from;
  const fixed = [...code.matchAll(STATIC_IMPORT)]
    .map(([, what, from]) => ({ from: resolve(from!), names: namesIn(what ?? "") }));
  const dynamic = [...code.matchAll(DYNAMIC_IMPORT)]
    .map(([, from]) => ({ from: resolve(from!), names: ["*"] }));
  return [...fixed, ...dynamic];
}

function namesIn(clause: string): string[] {
  const braces = clause.match(/^\s*\{([^}]*)\}\s*$/);
  if (braces === null) return ["*"];
  return braces[1]!.split(",")
    .map((name) => name.trim().replace(/^type\s+/, "").replace(/\s+as\s.*$/, ""))
    .filter((name) => name !== "");
}
