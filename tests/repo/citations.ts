/**
 * Citations of documents: names of Markdown files, and numbers of their sections.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "./sources.ts";

/** A citation, or the mention of a file. */
export interface Citation {
  /** The file as path from the root; undefined when nothing says which it is. */
  readonly file: string | undefined;
  /** Number of a section; undefined when the whole file is meant. */
  readonly section: string | undefined;
}

/** A number behind one of these is somebody else's; a list of numbers goes with it. */
const FOREIGN = /(?:RFC \d+|SP [\d-]+[A-Z]?|draft-[\w-]+)(?:(?:,| to| and)? §[\d.]*\d)*/.source;
const TOKEN = new RegExp(
  `${FOREIGN}|(?<name>[\\w./-]*\\w\\.md)\\b|§(?<section>\\d+(?:\\.\\d+)*)`,
  "g",
);
/** Between a file, or a section of it, and a section that is the same file's: in a document nothing else goes on with it. */
const JOINT = /^(?:#[\w-]*)?\)?(?:,| to| and|, and)? $/;
/** Where a comment continues in the next line. */
const LEADER = /\n[ \t]*(?:\*|\/\/)[ \t]?/g;

/**
 * The citations of a TypeScript file. Files are named from the root; a section without a file is one of the file in
 * `docs/protocol/` that was named last.
 *
 * @param text The file's text.
 * @returns The citations, in order.
 */
export function citationsInSource(text: string): Citation[] {
  let last: string | undefined;
  const found: Citation[] = [];
  for (const { groups } of text.replace(LEADER, " ").matchAll(TOKEN)) {
    const { name, section } = groups!;
    if (name !== undefined) {
      const file = name.replace(/^(?:\.\.\/)+/, "");
      if (file.startsWith("docs/protocol/")) last = file;
      found.push({ file, section: undefined });
    } else if (section !== undefined) found.push({ file: last, section });
  }
  return found;
}

/**
 * The citations of a document. Files are named from its folder or from the root; a section that does not follow a file
 * is the document's own. The first column of a table under "Differs from the draft" is about the draft.
 *
 * @param path The document's path from the root.
 * @param text Its text.
 * @returns The citations, in order.
 */
export function citationsInDocument(path: string, text: string): Citation[] {
  // What a link is called says less than where it leads.
  const flat = withoutDraft(text).replace(/\[[^\][]*\]\(/g, "(").replace(/\s+/g, " ");
  const found: Citation[] = [];
  let file = path;
  let end = -1;
  for (const match of flat.matchAll(TOKEN)) {
    const { name, section } = match.groups!;
    if (name !== undefined) {
      file = fileOf(path, name);
      found.push({ file, section: undefined });
    } else if (section !== undefined) {
      if (!JOINT.test(flat.slice(end, match.index))) file = path;
      found.push({ file, section });
    } else continue;
    end = match.index + match[0].length;
  }
  return found;
}

function withoutDraft(text: string): string {
  return text.split(/^(?=## )/m).map((part) =>
    /^## (?:\d+\. )?Differs from the draft/.test(part) ? part.replace(/^\|[^|]*\|/gm, "|") : part
  ).join("");
}

function fileOf(path: string, name: string): string {
  const beside = normalize(join(dirname(path), name)).replaceAll("\\", "/");
  return existsSync(join(ROOT, beside)) ? beside : name;
}

/**
 * What is wrong with a citation.
 *
 * @param citation The citation.
 * @returns One phrase; undefined when it leads somewhere.
 */
export function citationProblem({ file, section }: Citation): string | undefined {
  if (file === undefined) return `§${section} of which file?`;
  const isKnown = /^(?:docs\/[\w/-]+|README|CONTRIBUTING|CHANGELOG)\.md$/.test(file);
  if (!isKnown || !existsSync(join(ROOT, file))) return `${file} is not in the repository`;
  if (section === undefined || sectionsOf(file).has(section)) return undefined;
  return `${file} has no §${section}`;
}

const sections = new Map<string, ReadonlySet<string>>();

function sectionsOf(file: string): ReadonlySet<string> {
  let known = sections.get(file);
  if (known === undefined) {
    const text = readFileSync(join(ROOT, file), "utf8");
    known = new Set(
      [...text.matchAll(/^#{2,4} (\d+(?:\.\d+)*)\.? /gm)].map(([, number]) => number!),
    );
    sections.set(file, known);
  }
  return known;
}
