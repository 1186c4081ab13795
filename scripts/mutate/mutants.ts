/**
 * Small faults that can be put into a source file, found in its syntax.
 *
 * @module
 */

import { stripTypeScriptTypes } from "node:module";
import { type AnyNode, parse } from "acorn";

/** One fault: a piece of a file's text, and what to put there instead. */
export interface Mutant {
  /** Line of its beginning, from 1. */
  readonly line: number;
  /** Where the piece begins, UTF-16 units. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** The text there. */
  readonly before: string;
  /** The text to put there. */
  readonly after: string;
}

/** Operators and what each is exchanged for. */
const OPERATORS: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "&": "|",
  "|": "&",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "+=": "-=",
  "-=": "+=",
  "++": "--",
  "--": "++",
};

/** Methods whose names can be exchanged. */
const METHODS: Readonly<Record<string, string>> = { min: "max", max: "min" };

/**
 * Finds the faults that can be put into a file: exchanged operators, boolean literals and `Math.min` and `Math.max`,
 * numbers one greater, negated conditions, dropped guards, and dropped calls and assignments. The value of a named
 * constant at the top of a file stays: it is a choice, and `docs/LIMITS.md` lists it; its use is what tests hold.
 *
 * @param source TypeScript.
 * @returns The faults in the order of the text.
 */
export function mutantsOf(source: string): Mutant[] {
  // Types become spaces, so every position holds for the source as well.
  const code = stripTypeScriptTypes(source, { mode: "strip" });
  const program = parse(code, { ecmaVersion: "latest", sourceType: "module" });
  const mutants: Mutant[] = [];
  const put = (start: number, end: number, after: string) => {
    const line = source.slice(0, start).split("\n").length;
    mutants.push({ line, start, end, before: source.slice(start, end), after });
  };
  const text = ({ start, end }: AnyNode) => source.slice(start, end);
  const exchange = (operator: string, from: number, to: number) => {
    const after = OPERATORS[operator];
    if (after === undefined) return;
    const start = code.indexOf(operator, from);
    if (start >= 0 && start + operator.length <= to) put(start, start + operator.length, after);
  };
  walk(program, [], (node, parents) => {
    switch (node.type) {
      case "BinaryExpression":
      case "LogicalExpression":
        if (node.operator === "+" && (isText(node.left) || isText(node.right))) break;
        if (isNamedConstant(parents)) break;
        exchange(node.operator, node.left.end, node.right.start);
        break;
      case "AssignmentExpression":
        exchange(node.operator, node.left.end, node.right.start);
        break;
      case "UpdateExpression":
        exchange(node.operator, node.start, node.end);
        break;
      case "Literal":
        if (typeof node.value === "boolean") put(node.start, node.end, `${!node.value}`);
        if (typeof node.value === "number" && !isNamedConstant(parents)) {
          put(node.start, node.end, `${node.value + 1}`);
        }
        if (typeof node.value === "bigint") put(node.start, node.end, `${node.value + 1n}n`);
        break;
      case "MemberExpression":
        if (text(node.object) === "Math" && METHODS[text(node.property)] !== undefined) {
          put(node.property.start, node.property.end, METHODS[text(node.property)]!);
        }
        break;
      case "IfStatement":
      case "ConditionalExpression":
        if (isEquality(node.test)) break; // Negated, it is what its operator's exchange gives.
        put(node.test.start, node.test.end, `!(${text(node.test)})`);
        break;
      case "ReturnStatement":
      case "ThrowStatement":
      case "ContinueStatement":
      case "BreakStatement":
        if (isGuarded(node, parents)) put(node.start, node.end, ";");
        break;
      case "ExpressionStatement":
        if (isDroppable(node.expression, parents)) put(node.start, node.end, ";");
        break;
    }
  });
  return mutants.sort((a, b) => a.start - b.start || a.end - b.end);
}

function walk(
  node: AnyNode,
  parents: readonly AnyNode[],
  visit: (node: AnyNode, parents: readonly AnyNode[]) => void,
): void {
  visit(node, parents);
  const chain = [...parents, node];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, chain, visit);
    }
  }
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && "type" in value &&
    typeof value.type === "string";
}

function isText(node: AnyNode): boolean {
  return node.type === "TemplateLiteral" ||
    (node.type === "Literal" && typeof node.value === "string");
}

function isEquality(node: AnyNode): boolean {
  return node.type === "BinaryExpression" && /^[!=]==$/.test(node.operator);
}

/** Within the value of a constant of the file or of a class, which is of numbers alone. */
function isNamedConstant(parents: readonly AnyNode[]): boolean {
  const name = parents.findLastIndex(({ type }) =>
    !/^(?:Binary|Unary|Array|Object)Expression$|^Property$/.test(type)
  );
  return /^(?:VariableDeclarator|PropertyDefinition)$/.test(parents[name]?.type ?? "") &&
    !parents.some(({ type }) => /Function|MethodDefinition/.test(type));
}

/** The only thing an `if` without `else` does. */
function isGuarded(node: AnyNode, parents: readonly AnyNode[]): boolean {
  let parent = parents.at(-1);
  if (parent?.type === "BlockStatement" && parent.body.length === 1) parent = parents.at(-2);
  return parent?.type === "IfStatement" && parent.alternate === null &&
    parent.consequent.end >= node.end && parent.consequent.start <= node.start;
}

/** A call or an assignment; those of constructors are left alone: nothing works without them. */
function isDroppable(expression: AnyNode, parents: readonly AnyNode[]): boolean {
  if (expression.type === "AwaitExpression") return isDroppable(expression.argument, parents);
  if (expression.type === "CallExpression") return expression.callee.type !== "Super";
  return expression.type === "AssignmentExpression" &&
    !parents.some((node) => node.type === "MethodDefinition" && node.kind === "constructor");
}

/**
 * Takes a few of many, spread evenly, the same at every run.
 *
 * @param all Any number.
 * @param max How many at most.
 * @returns Every k-th of them.
 */
export function everyKth<T>(all: readonly T[], max: number): T[] {
  if (all.length <= max) return [...all];
  return Array.from({ length: max }, (_, i) => all[Math.floor((i + 0.5) * all.length / max)]!);
}

/** Characters of a piece of text that are shown. */
const MAX_SHOWN = 80;

/**
 * A fault for people, on one line.
 *
 * @param mutant The fault.
 * @returns `before -> after`; a dropped statement has nothing behind the arrow.
 */
export function changeText({ before, after }: Mutant): string {
  const short = (text: string) => {
    const line = text.replace(/\s+/g, " ");
    return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
  };
  return after === ";" ? `${short(before)} ->` : `${short(before)} -> ${short(after)}`;
}

/**
 * The text with the fault in it.
 *
 * @param source The file.
 * @param mutant A fault of it.
 * @returns The faulty file.
 */
export function mutated(source: string, { start, end, after }: Mutant): string {
  return source.slice(0, start) + after + source.slice(end);
}
