/**
 * The bounds of the product, read from its source: every numeric constant that says how much, how many, how long
 * or how often.
 *
 * @module
 */

import { importsOf, type SourceFile } from "../../tests/repo/sources.ts";

/** A rate limit. */
export interface RateValue {
  readonly perSecond: number;
  readonly burst: number;
}

/** One bound. */
export interface Limit {
  readonly name: string;
  readonly value: number | RateValue;
  /** Its doc comment as one line; empty when it has none. */
  readonly why: string;
  /** The file that has it. */
  readonly path: string;
  /** Whether it can be imported. */
  readonly isExported: boolean;
}

/** Words that make a constant a bound rather than a layout or a code. */
const BOUND_WORDS =
  /(?:^|_)(?:MAX|LIMIT|WINDOW|RATE|PER_PEER|PER_SOURCE|BURST|BACKLOG|ENTRIES|TTL|TIMEOUT|IDLE|STALL|GRACE|RESERVE|KEPT|QUEUE|QUEUED|FREE|HOLD|COOLDOWN|GIVE_UP|EARLY)(?:_|$)/;
/** Sizes that follow from a format and bound nothing. */
const LAYOUT_WORDS = /(?:^|_)(?:MAGIC|HEADER|OVERHEAD|PREFIX|SLOTS|DIVISOR)(?:_|$)/;

const CONSTANT =
  /(\/\*\*(?:[^*]|\*(?!\/))*\*\/\s*)?^(export )?const ([A-Z][A-Z0-9_]*)(?:: [^=\n]+)? =\s*([^;]+);[ \t]*(\/\/[^\n]*)?/gm;

const DEFAULTS = /^(export )?const ([A-Z_]+_DEFAULTS)\b[^\n]*= \{\n([^]*?)^\};/gm;
const DOC = String.raw`(\/\*\*(?:[^*]|\*(?!\/))*\*\/)\s*\n`;

interface Constant {
  readonly name: string;
  readonly expression: string;
  readonly why: string;
  readonly isExported: boolean;
}

function constantsOf(text: string): Constant[] {
  return [...text.matchAll(CONSTANT)].map(([, doc, exported, name, expression, trailing]) => ({
    name: name!,
    expression: expression!.trim(),
    why: plainText(doc ?? trailing ?? ""),
    isExported: exported !== undefined,
  }));
}

/** A comment as one line. */
function plainText(comment: string): string {
  return comment
    .replace(/^\s*\/\*\*|\*\/\s*$|^\/\//g, "")
    .replace(/\n\s*\*/g, " ")
    .replace(/\{@linkcode (?:[^}|]*\|)?\s*([^}]+)\}/g, "`$1`")
    .replace(/\s+/g, " ")
    .trim();
}

/**
 * The bounds in some files.
 *
 * @param files All files of the product: a bound may be computed from constants of another file.
 * @returns The bounds in the order of the files.
 */
export function limitsOf(files: readonly SourceFile[]): Limit[] {
  const constants = new Map(files.map((file) => [file.path, constantsOf(file.text)]));
  const byPath = new Map(files.map((file) => [file.path, file]));

  /** The constant a name stands for in a file: its own, or an imported one, through re-exports. */
  function find(
    name: string,
    path: string,
    seen: readonly string[] = [],
  ): [Constant, string] | undefined {
    const own = constants.get(path)?.find((constant) => constant.name === name);
    if (own !== undefined) return [own, path];
    const file = byPath.get(path);
    if (file === undefined || seen.includes(path)) return undefined;
    for (const { from, names } of importsOf(file)) {
      if (!names.includes(name) && !names.includes("*")) continue;
      const found = find(name, from, [...seen, path]);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function valueOf(expression: string, path: string): number | RateValue | undefined {
    const rate = expression.match(/^\{\s*perSecond: ([\d_.]+),\s*burst: ([\d_]+)\s*\}/);
    if (rate !== null) return { perSecond: toNumber(rate[1]!), burst: toNumber(rate[2]!) };
    let isKnown = true;
    const numeric = expression.replace(/\/\/[^\n]*/g, "").replace(
      /[A-Za-z][A-Za-z0-9_.]*|\b0x[\da-f]+/gi,
      (name) => {
        if (/^0x/i.test(name)) return name;
        const found = find(name, path);
        const value = found === undefined ? undefined : valueOf(found[0].expression, found[1]);
        if (typeof value !== "number") isKnown = false;
        return String(value);
      },
    );
    if (!isKnown || !/^[\d\s_.()+*/<xa-fA-F-]+$/.test(numeric)) return undefined;
    // Nothing but numbers and operators is left.
    const value: unknown = new Function(`return (${numeric});`)();
    return typeof value === "number" && Number.isFinite(value) ? value : undefined;
  }

  /** Defaults of options, `X_DEFAULTS.name`, explained where the option is declared. */
  function defaultsOf({ path, text }: SourceFile): Limit[] {
    return [...text.matchAll(DEFAULTS)].flatMap(([, exported, table, body]) =>
      [...body!.matchAll(/^ {2}(\w+): ([^\n]+),$/gm)].flatMap(([, option, expression]) => {
        const value = valueOf(expression!, path);
        if (value === undefined) return [];
        const doc = text.match(new RegExp(`${DOC}  ${option}\\?: `))?.[1] ?? "";
        const isExported = exported !== undefined;
        return [{ name: `${table}.${option}`, value, why: plainText(doc), path, isExported }];
      })
    );
  }

  return files.flatMap((file) => [...boundsOf(file.path), ...defaultsOf(file)]);

  function boundsOf(path: string): Limit[] {
    return constants.get(path)!.flatMap(({ name, expression, why, isExported }) => {
      const isBound = (path.endsWith("/limits.ts") || BOUND_WORDS.test(name)) &&
        !LAYOUT_WORDS.test(name);
      const value = isBound ? valueOf(expression, path) : undefined;
      return value === undefined ? [] : [{ name, value, why, path, isExported }];
    });
  }
}

function toNumber(text: string): number {
  return Number(text.replaceAll("_", ""));
}
