/**
 * What we have stated to peers and nobody has taken yet: at most one statement a peer, as the last one counts.
 *
 * @module
 */

import type { HandshakeType } from "./message.ts";
import { OWED_MAX, type Statement } from "./trust_peer.ts";

/** Statements that answer those of others, which may cause any number of them. */
const ANSWERS: readonly HandshakeType[] = ["handshake_reject", "handshake_accept"];

/** Statements by receiver, the oldest first, and the numbers they get. */
export class Outbox {
  readonly #owed: Map<number, Statement> = new Map();
  #lastOrder = 0;

  /** The number of the last statement. */
  get lastOrder(): number {
    return this.#lastOrder;
  }

  /** All statements, the oldest first. */
  all(): Statement[] {
    return [...this.#owed.values()];
  }

  /** What is owed to a node. */
  get(node: number): Statement | undefined {
    return this.#owed.get(node);
  }

  /** Takes what was stored. */
  load(lastOrder: number, owed: readonly Statement[]): void {
    for (const statement of owed) this.#owed.set(statement.nodeId, statement);
    this.#lastOrder = owed.reduce((last, { order }) => Math.max(last, order), lastOrder);
  }

  /**
   * Adds a statement; it replaces what is owed to the same node.
   *
   * @param now Unix milliseconds; the statement's order, unless that would not be higher than the last.
   * @returns The statement.
   */
  say(statement: Omit<Statement, "order">, now: number): Statement {
    this.#lastOrder = Math.max(this.#lastOrder + 1, Math.floor(now));
    const said = { ...statement, order: this.#lastOrder };
    this.#owed.delete(said.nodeId);
    this.#owed.set(said.nodeId, said);
    if (this.#owed.size > OWED_MAX) this.#dropOne();
    return said;
  }

  /** The statement has arrived; false when it is not owed any more. */
  taken(node: number, order: number): boolean {
    return this.#owed.get(node)?.order === order && this.#owed.delete(node);
  }

  /** What strangers have caused goes before what was decided here. */
  #dropOne(): void {
    for (const type of ANSWERS) {
      for (const statement of this.#owed.values()) {
        if (statement.type !== type) continue;
        this.#owed.delete(statement.nodeId);
        return;
      }
    }
    const [first] = this.#owed.keys();
    this.#owed.delete(first!);
  }
}
