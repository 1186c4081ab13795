/**
 * What became of each operation in each pairing, as a table.
 *
 * @module
 */

/** `ok`, what went wrong, or what the peer itself cannot do. */
export type Outcome =
  | { readonly is: "ok"; readonly ms: number }
  | { readonly is: "failed"; readonly why: string }
  | { readonly is: "peer cannot"; readonly why: string };

/** Outcomes by operation and pairing. */
export class Table {
  readonly #pairings: string[] = [];
  readonly #rows = new Map<string, Map<string, Outcome>>();

  /** Notes an outcome. */
  note(pairing: string, operation: string, outcome: Outcome): void {
    if (!this.#pairings.includes(pairing)) this.#pairings.push(pairing);
    const row = this.#rows.get(operation) ?? new Map<string, Outcome>();
    this.#rows.set(operation, row);
    row.set(pairing, outcome);
  }

  /** What failed, a line each. */
  get failures(): string[] {
    return this.#lines("failed");
  }

  /** Operations tried. */
  get count(): number {
    return [...this.#rows.values()].reduce((sum, row) => sum + row.size, 0);
  }

  /** The table with its notes. */
  toString(): string {
    const width = Math.max(...[...this.#rows.keys()].map((name) => name.length), 9);
    const head = ["operation".padEnd(width), ...this.#pairings].join(" | ");
    const lines = [...this.#rows].map(([name, row]) =>
      [
        name.padEnd(width),
        ...this.#pairings.map((pairing) => cell(row.get(pairing)).padEnd(pairing.length)),
      ].join(" | ")
    );
    return [head, "-".repeat(head.length), ...lines, ...this.#lines("peer cannot")].join("\n");
  }

  #lines(is: "failed" | "peer cannot"): string[] {
    return [...this.#rows].flatMap(([name, row]) =>
      [...row].flatMap(([pairing, outcome]) =>
        outcome.is === is ? [`${is}: ${name} (${pairing}): ${outcome.why}`] : []
      )
    );
  }
}

function cell(outcome: Outcome | undefined): string {
  if (outcome === undefined) return "";
  return outcome.is === "ok" ? `ok ${(outcome.ms / 1000).toFixed(1)} s` : outcome.is;
}
