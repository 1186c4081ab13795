/**
 * Faults that change nothing noticeable. Each is named here once, so that it does not count.
 *
 * @module
 */

import { changeText, type Mutant } from "./mutants.ts";

/** A fault that changes nothing. */
export interface Equivalent {
  /** The file. */
  readonly path: string;
  /** The line of code without the spaces around it. */
  readonly line: string;
  /** The fault as {@linkcode changeText} writes it. */
  readonly change: string;
  /** Why it cannot be noticed. */
  readonly why: string;
}

/** All that are known. */
export const EQUIVALENTS: readonly Equivalent[] = [
  {
    path: "cli/parse.ts",
    line: "const network = /^\\d{1,5}$/.test(text) ? Number(text) : MAX_NETWORK + 1;",
    change: "1 -> 2",
    why: "any number above the highest is refused alike",
  },
  {
    path: "rendezvous/beacon/mappings.ts",
    line: "const count = (this.#perSource.get(key) ?? 1) - 1;",
    change: "1 -> 2",
    why: "what is taken off has been counted, so the default is for the type checker alone",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (frame === undefined) return;",
    change: "return; ->",
    why: "nothing is shifted that was not looked at before; for the type checker alone",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (this.empty || this.#head >= 1024) {",
    change: "this.empty || this.#head >= 1024 -> !(this.empty || this.#head >= 1024)",
    why: "when the list is made shorter costs memory, not order",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (this.empty || this.#head >= 1024) {",
    change: "|| -> &&",
    why: "when the list is made shorter costs memory, not order",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (this.empty || this.#head >= 1024) {",
    change: ">= -> >",
    why: "when the list is made shorter costs memory, not order",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (this.empty || this.#head >= 1024) {",
    change: "1024 -> 1025",
    why: "when the list is made shorter costs memory, not order",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "this.#frames = [];",
    change: "this.#frames = []; ->",
    why: "a dead client's queue is not read again; this gives its memory back",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "this.#head = 0;",
    change: "this.#head = 0; ->",
    why: "a dead client's queue is not read again",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (this.#lazy > 0) this.#wake();",
    change: "> -> >=",
    why: "waking with nothing to write writes nothing",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "this.#datagrams.clear();",
    change: "this.#datagrams.clear(); ->",
    why: "a dead client's queue is not read again; this gives its memory back",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "this.#sources = [];",
    change: "this.#sources = []; ->",
    why: "a dead client's sources are not asked again; this releases them",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "this.#cancelLazy = undefined;",
    change: "this.#cancelLazy = undefined; ->",
    why: "a dead client sets no timer again, and a fired one is replaced by the next",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (first !== undefined && first.length > buffer.length) {",
    change: "> -> >=",
    why: "a frame that fills the buffer is one write either way",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (length > 0) await this.#writeAll(buffer.subarray(0, length));",
    change: "> -> >=",
    why: "of no bytes nothing is written",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (pool.length < POOLED_WRITE_BUFFERS) pool.push(buffer);",
    change: "pool.length < POOLED_WRITE_BUFFERS -> !(pool.length < POOLED_WRITE_BUFFERS)",
    why: "pooled buffers save memory traffic and change no byte",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (pool.length < POOLED_WRITE_BUFFERS) pool.push(buffer);",
    change: "< -> <=",
    why: "pooled buffers save memory traffic and change no byte",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (pool.length < POOLED_WRITE_BUFFERS) pool.push(buffer);",
    change: "pool.push(buffer); ->",
    why: "pooled buffers save memory traffic and change no byte",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (offset > 0 && buffer.length - offset < LEAST_ROOM_BYTES) break;",
    change: "> -> >=",
    why: "an empty buffer has room enough",
  },
  {
    path: "daemon/ipc/outgoing.ts",
    line: "if (offset > 0 && buffer.length - offset < LEAST_ROOM_BYTES) break;",
    change: "0 -> 1",
    why: "a buffer with one byte has room enough",
  },
  {
    path: "daemon/tunnel/key_exchange.ts",
    line: "await verifySignature(fields.ed25519, challenge, fields.signature);",
    change: "await verifySignature(fields.ed25519, challenge, fields.signature); ->",
    why: "warms code up; its result is not used",
  },
  {
    path: "protocol/crypto/replay.ts",
    line: "readonly #bits: Uint32Array = new Uint32Array(REPLAY_WINDOW_COUNTERS / 32);",
    change: "/ -> *",
    why: "only more memory",
  },
  {
    path: "protocol/crypto/replay.ts",
    line: "if (counter - this.#newest >= REPLAY_WINDOW_COUNTERS) {",
    change: ">= -> >",
    why: "the loop below clears the same bits",
  },
  {
    path: "protocol/stream/recovery.ts",
    line: "#judging = false;",
    change: "false -> true",
    why: "it is looked at after a timeout only, which sets it",
  },
  {
    path: "protocol/stream/recovery.ts",
    line: "if (at < this.#rtoAt) this.#probeAt = at;",
    change: "< -> <=",
    why: "of two at one instant the timeout goes first and takes the probe back",
  },
  {
    path: "protocol/stream/recovery.ts",
    line: "if (board.flight.count === 0) return;",
    change: "return; ->",
    why: "the timer is off while nothing is in flight",
  },
  {
    path: "protocol/stream/recovery.ts",
    line: "this.#peak = 0;",
    change: "0 -> 1",
    why: "a peak of one byte is below every flight",
  },
  {
    path: "protocol/trust/state.ts",
    line: "this.#replays.reap(now);",
    change: "this.#replays.reap(now); ->",
    why: "each addition forgets what has expired; this gives memory back in between",
  },
  {
    path: "sdk/conn_sender.ts",
    line: "if (done > 0) this.#writes.splice(0, done);",
    change: "> -> >=",
    why: "taking out none changes nothing",
  },
  {
    path: "sdk/conn_sender.ts",
    line: "if (index < 0) return;",
    change: "return; ->",
    why: "a settled write does not listen any more",
  },
  {
    path: "sdk/conn_sender.ts",
    line: "const bytes = this.#unanswered.shift() ?? 0;",
    change: "0 -> 1",
    why: "there is one for each answer; for the type checker alone",
  },
  {
    path: "sdk/conn_sender.ts",
    line: "this.#writes = this.#writes.filter((write) => write.end <= this.#sent);",
    change: "this.#writes = this.#writes.filter((write) => write.end <= this.#sent); ->",
    why: "the refused ones cannot be settled a second time",
  },
  {
    path: "sdk/conn_sender.ts",
    line: "if (this.#isBusy) return;",
    change: "return; ->",
    why: "whoever is woken too early looks again and waits on",
  },
];

/**
 * The entry that names a fault.
 *
 * @param path The file.
 * @param source Its text.
 * @param mutant A fault of it.
 * @param table The entries.
 * @returns The entry; undefined when the fault should be noticed.
 */
export function equivalentOf(
  path: string,
  source: string,
  mutant: Mutant,
  table: readonly Equivalent[] = EQUIVALENTS,
): Equivalent | undefined {
  const line = source.split("\n")[mutant.line - 1]!.trim();
  const change = changeText(mutant);
  return table.find((entry) =>
    entry.path === path && entry.line === line && entry.change === change
  );
}
