/**
 * One pair of the matrix: what happens between the dial and the direct path, and what ought to.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Conn } from "../../mod.ts";
import type { Kind } from "./net/internet.ts";
import { type Daemon, type Path, pathBetween } from "./processes.ts";

/** From the dial to the first echoed byte. */
export const FIRST_BYTE_MS = 1_000;
/** Longest wait for a direct path. */
const DIRECT_MS = 30_000;
/** How long a pair is watched that can have none: both sides have tried by then. */
const RELAY_WATCH_MS = 4_000;
const POLL_MS = 100;
const ECHO_PORT = 7;

/** What was seen of a pair. */
export interface Row {
  readonly name: string;
  readonly expected: Path;
  /** Dial to first echoed byte, ms. */
  firstByteMs: number | undefined;
  firstPath: Path | undefined;
  /** Dial to direct on both sides, ms. */
  directMs: number | undefined;
  lastPath: Path | undefined;
  /** Longest echo after the first, ms. */
  longestEchoMs: number;
  readonly faults: string[];
}

/** What the rules of the NATs allow. */
export function expectedPath(a: Kind, b: Kind): Path {
  if (a === "blocked" || b === "blocked") return "relay";
  const filters = (kind: Kind) =>
    kind === "restricted" || kind === "double NAT" || kind === "same LAN";
  const hidden = a === "symmetric" && (b === "symmetric" || filters(b)) ||
    b === "symmetric" && filters(a);
  return hidden ? "relay" : "direct";
}

/** A dialled pair. */
export interface Dialled {
  readonly row: Row;
  readonly watch: () => Promise<void>;
}

/** Dials the echo service of b from a and notes the first byte; `watch` then waits for the direct path. */
export async function dial(name: string, expected: Path, a: Daemon, b: Daemon): Promise<Dialled> {
  const row: Row = {
    name,
    expected,
    firstByteMs: undefined,
    firstPath: undefined,
    directMs: undefined,
    lastPath: undefined,
    longestEchoMs: 0,
    faults: [],
  };
  assert.equal(await a.peer(b), undefined, `${name}: no tunnel before the dial`);
  const startMs = performance.now();
  try {
    const conn = await a.driver.dial(b.node, ECHO_PORT, { timeoutMs: 15_000 });
    await echo(conn, "first");
    row.firstByteMs = performance.now() - startMs;
    row.firstPath = await pathBetween(a, b);
    if (row.firstPath === "direct") row.directMs = row.firstByteMs;
    if (row.firstByteMs > FIRST_BYTE_MS) row.faults.push("slow");
    return { row, watch: () => watch(row, conn, a, b, startMs) };
  } catch {
    row.faults.push("no data");
    return { row, watch: () => Promise.resolve() };
  }
}

/** Talks on and waits for the direct path; the last word has pilotctl. */
async function watch(row: Row, conn: Conn, a: Daemon, b: Daemon, startMs: number): Promise<void> {
  const endMs = startMs + (row.expected === "direct" ? DIRECT_MS : RELAY_WATCH_MS);
  try {
    while (row.directMs === undefined && performance.now() < endMs) {
      const roundMs = performance.now();
      await echo(conn, "more");
      row.longestEchoMs = Math.max(row.longestEchoMs, performance.now() - roundMs);
      row.lastPath = await pathBetween(a, b);
      if (row.lastPath === "direct") row.directMs = performance.now() - startMs;
      else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await echo(conn, "last");
    await conn.close();
    const { peers } = await a.pilotctl("peers");
    const seen = peers.find(({ node_id }: { node_id: number }) => node_id === b.node);
    const inner = await pathBetween(a, b);
    row.lastPath = seen.relay ? "relay" : inner;
  } catch {
    row.faults.push("broke off");
    conn.abort();
    return;
  }
  if (row.lastPath !== row.expected) row.faults.push(`${row.lastPath}`);
}

async function echo(conn: Conn, text: string): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  await conn.write(text, { signal });
  let got = "";
  while (got.length < text.length) {
    const chunk = await conn.read({ signal });
    assert.ok(chunk, "the stream ended");
    got += new TextDecoder().decode(chunk);
  }
  assert.equal(got, text);
}

/** The rows as aligned lines. */
export function table(rows: readonly Row[]): string {
  const ms = (value: number | undefined) => value === undefined ? "-" : `${Math.round(value)}`;
  const cells = rows.map((row) => [
    row.name,
    ms(row.firstByteMs),
    row.firstPath ?? "-",
    ms(row.directMs),
    ms(row.longestEchoMs),
    row.lastPath ?? "-",
    row.expected,
    row.faults.join(", "),
  ]);
  const head = [
    "pair",
    "first byte ms",
    "by",
    "direct ms",
    "slowest echo ms",
    "then",
    "expected",
    "fault",
  ];
  const all = [head, ...cells];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd())
    .join("\n");
}
