/**
 * Direct handshake messages between nodes: a connection carries one, and arrives, late, twice or not at all.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { Conn, ConnListener, DialOptions } from "../../../daemon/stream/stream_conn.ts";
import { concatBytes } from "../../../protocol/bytes.ts";
import type { ManualClock } from "../../support/manual_clock.ts";
import type { Random } from "../random.ts";

/** A node as others find it. */
export interface Reachable {
  readonly node: number;
  /** Whether it lets a node in on port 444 now. */
  admits(node: number): boolean;
  /** Takes a connection; undefined while its process does not run. */
  readonly onAccept: ((conn: Conn) => void) | undefined;
}

/** The way between two nodes. */
export class Mail {
  readonly #clock: ManualClock;
  readonly #random: Random;
  readonly nodes = new Map<number, Reachable>();
  /** Chance that a message is lost. */
  loss = 0;

  constructor(clock: ManualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Opens a connection, or fails as if nobody answered. */
  async dial(from: number, to: number, { timeoutMs = 1_000 }: DialOptions): Promise<Conn> {
    await this.#pause(20);
    const target = this.nodes.get(to);
    const isOpen = target?.onAccept !== undefined && target.admits(from);
    if (isOpen && !this.#random.chance(this.loss)) {
      return new MailConn(to, (bytes) => this.#post(from, to, bytes));
    }
    await this.#pause(timeoutMs);
    throw new PilotError("timeout", `No answer from ${to}`);
  }

  /** What the sender takes for delivered may still be on its way, and come twice. */
  #post(from: number, to: number, bytes: Uint8Array): void {
    const copies = this.#random.chance(0.2) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.#clock.after(this.#random.int(1, 3_000), () => {
        const target = this.nodes.get(to);
        if (target?.admits(from) !== true) return;
        target.onAccept?.(new MailConn(from, () => {}, bytes));
      });
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}

/** One end of a connection, with what the other end has sent. */
class MailConn implements Conn {
  readonly id = 1;
  readonly localAddress = { network: 0, node: 0 };
  readonly localPort = 444;
  readonly remoteAddress: { network: number; node: number };
  readonly remotePort = 444;
  readonly error = undefined;
  readonly #send: (bytes: Uint8Array) => void;
  #received: Uint8Array | undefined;
  #sent: Uint8Array[] = [];
  #listener: ConnListener | undefined;
  closed = false;

  constructor(remote: number, send: (bytes: Uint8Array) => void, received?: Uint8Array) {
    this.remoteAddress = { network: 0, node: remote };
    this.#send = send;
    this.#received = received;
  }

  get state(): "ESTABLISHED" | "CLOSED" {
    return this.closed ? "CLOSED" : "ESTABLISHED";
  }

  get readableBytes(): number {
    return this.#received?.length ?? 0;
  }

  readonly writableBytes = 65_536;

  get ended(): boolean {
    return this.#received === undefined;
  }

  readonly isPeerReading = false;
  readonly isDelivered = false;

  closeWrite(): boolean {
    return false;
  }

  setListener(listener: ConnListener): void {
    this.#listener = listener;
  }

  read(): Uint8Array | undefined {
    const bytes = this.#received;
    this.#received = undefined;
    return bytes;
  }

  readInto(): number {
    throw new Error("not used");
  }

  write(data: Uint8Array): number {
    this.#sent.push(data.slice());
    return data.length;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.#sent.length > 0) this.#send(concatBytes(...this.#sent));
    this.#listener?.onClosed(undefined);
  }

  abandon(): void {
    this.close();
  }

  abort(): void {
    this.closed = true;
  }

  stats(): never {
    throw new Error("not used");
  }
}
