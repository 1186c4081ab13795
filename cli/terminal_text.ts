/**
 * Text for people, and the only path to a terminal. A plain string may hold anything that a peer, a registry or a file
 * has written, so it is made one harmless line before it is shown; only what this module has put together keeps its
 * lines and styles. JSON keeps its values and has the same characters escaped.
 *
 * @module
 */

import { escapeUnsafe, replaceUnsafe } from "../protocol/untrusted_text.ts";
import type { OutStream } from "./standard_streams.ts";

/** Text that may be shown as it is. Made by {@linkcode safe}, {@linkcode lines}, styles and tables. */
export class SafeText {
  readonly #text: string;

  /** @param text Text in which everything that others wrote is {@linkcode printable}. */
  constructor(text: string) {
    this.#text = text;
  }

  /** The text. Put into another string it is a string like any other, which loses lines and styles when shown. */
  toString(): string {
    return this.#text;
  }
}

/**
 * Text from strangers made safe for a terminal: control, invisible and direction-changing characters become `?`.
 *
 * @param value Anything; undefined and null become empty. {@linkcode SafeText} stays as it is.
 * @returns Harmless text; one line, unless it was safe before.
 */
export function printable(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (value instanceof SafeText) return value.toString();
  return replaceUnsafe(String(value), (char) => char === "\t" ? " " : "?");
}

/**
 * Tag of a template: its literal parts are ours, what is put in is made {@linkcode printable}.
 *
 * @param own The template.
 * @param values What is put in.
 * @returns The text.
 */
export function safe(own: TemplateStringsArray, ...values: readonly unknown[]): SafeText {
  return new SafeText(own.map((part, i) => part + printable(values[i])).join(""));
}

/**
 * Lines below each other.
 *
 * @param parts The lines; strings are made {@linkcode printable}. Undefined ones are left out.
 * @param separator Between them; default a line end.
 * @returns The text.
 */
export function lines(parts: readonly unknown[], separator: string = "\n"): SafeText {
  return new SafeText(parts.filter((part) => part !== undefined).map(printable).join(separator));
}

/**
 * Text of strangers that has lines of its own, such as a message.
 *
 * @param text Any text.
 * @param indent Put before every line but the first, so that none looks like one of ours.
 * @returns The same with each line {@linkcode printable}.
 */
export function printableLines(text: string, indent: string = ""): SafeText {
  return lines(text.split("\n"), `\n${indent}`);
}

/**
 * JSON for a terminal as well as for a program: one line, or indented, with every unsafe character escaped.
 *
 * @param value What `JSON.stringify` takes.
 * @param indent Spaces per level; 0 for one line.
 * @returns JSON.
 */
export function safeJson(value: unknown, indent: number = 0): SafeText {
  const json = JSON.stringify(value, null, indent) ?? "null";
  // Line ends of the indentation; those within strings are escaped already.
  return new SafeText(json.split("\n").map(escapeUnsafe).join("\n"));
}

/**
 * Shows text, with a line end.
 *
 * @param out Where.
 * @param text The text; a plain string is made {@linkcode printable} and so has one line.
 * @throws {OutputClosed} When the reader has gone.
 */
export function show(out: OutStream, text: SafeText | string): void {
  out.write(printable(text).replace(/\n?$/, "\n"));
}

/**
 * Passes a stream on as it arrives. A pipe or file gets the bytes as they are. On a terminal they are shown as text
 * whose lines are {@linkcode printable}; behind a label further lines are indented, so that none looks like ours.
 */
export class PassOn {
  readonly #out: OutStream;
  readonly #decoder = new TextDecoder();
  readonly #indent: string;
  /** To be written before the next text. */
  #prefix: string;
  #isShown = false;
  #isMidLine = false;

  /**
   * @param out Where.
   * @param label Shown before the first text, in brackets, on a terminal only.
   */
  constructor(out: OutStream, label?: string) {
    this.#out = out;
    this.#indent = label === undefined ? "" : "  ";
    this.#prefix = label === undefined ? "" : safe`[${label}] `.toString();
  }

  /**
   * Passes bytes on.
   *
   * @param bytes The next of the stream.
   * @throws {OutputClosed} When the reader has gone.
   */
  write(bytes: Uint8Array): void {
    if (this.#out.isTerminal) this.#show(this.#decoder.decode(bytes, { stream: true }));
    else this.#out.write(bytes);
  }

  /**
   * The stream has ended: a terminal gets the line end that may be missing.
   *
   * @throws {OutputClosed} When the reader has gone.
   */
  end(): void {
    if (!this.#out.isTerminal) return;
    this.#show(this.#decoder.decode());
    if (!this.#isShown && this.#prefix !== "") this.#out.write(`${this.#prefix}\n`);
    else if (this.#isMidLine) this.#out.write("\n");
  }

  #show(text: string): void {
    if (text === "") return;
    const isEnded = text.endsWith("\n");
    const shown = printableLines(isEnded ? text.slice(0, -1) : text, this.#indent).toString();
    this.#out.write(this.#prefix + shown + (isEnded ? "\n" : ""));
    // The indentation of a new line waits for its first character.
    this.#prefix = isEnded ? this.#indent : "";
    this.#isMidLine = !isEnded;
    this.#isShown = true;
  }
}

/**
 * Passes one whole message on: {@linkcode PassOn} without a label.
 *
 * @param out Where.
 * @param bytes The bytes.
 * @throws {OutputClosed} When the reader has gone.
 */
export function passOn(out: OutStream, bytes: Uint8Array): void {
  new PassOn(out).write(bytes);
}

/**
 * A message of a stranger beside a label of ours.
 *
 * @param bytes The message.
 * @returns The text. Further lines are indented, so that none looks like another message.
 */
export function payloadText(bytes: Uint8Array): SafeText {
  return printableLines(new TextDecoder().decode(bytes), "  ");
}

/** Clears the line, from its beginning. */
const CLEAR_LINE = "\r\u001b[K";

/**
 * Draws the last line of a terminal again.
 *
 * @param out The terminal.
 * @param line What is there from now on.
 * @throws {OutputClosed} When the reader has gone.
 */
export function redraw(out: OutStream, line: string): void {
  out.write(CLEAR_LINE + printable(line));
}
