/**
 * Load on a registry: many connections at a time, each with some requests under way.
 *
 * @module
 */

import { BINARY_PREAMBLE } from "../../../protocol/registry/registry_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";

/** Bytes read from a connection at a time. */
const READ_BYTES = 16_384;

/** One request. */
export interface LoadRequest {
  /** The frame; copied at once. */
  readonly frame: Uint8Array;
  /** What its answer is for; given back with it. */
  readonly tag: number;
}

/** The frames of one connection. */
export interface LoadReader<F> {
  push(chunk: Uint8Array): void;
  next(): F | undefined | DecodeError;
}

/** What to ask, over which connections. */
export interface LoadOptions<F> {
  /** Port of the registry on loopback. */
  readonly port: number;
  /** Connections. */
  readonly connections: number;
  /** Requests sent together on each; the next ones follow when all are answered. */
  readonly window: number;
  /** Whether the connections are in binary mode. */
  readonly binary: boolean;
  /** Makes a reader of answers. */
  readonly reader: () => LoadReader<F>;
  /** The next request; undefined when there are no more. */
  readonly next: () => LoadRequest | undefined;
  /** An answer. What it throws ends the load. */
  readonly take: (frame: F, tag: number) => void;
  /** Whether connections may break: what is not answered then is dropped. */
  readonly mayBreak?: boolean;
}

/**
 * Runs a load to its end.
 *
 * @param options See {@linkcode LoadOptions}.
 * @returns How long it took once all connections were open, seconds.
 * @throws {Error} When a connection breaks or an answer makes no sense.
 */
export async function runLoad<F>(options: LoadOptions<F>): Promise<number> {
  const { connections, port } = options;
  const open = async () => await Deno.connect({ hostname: "127.0.0.1", port });
  const conns: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < connections; i++) {
      const conn = await open();
      conn.setNoDelay(true);
      conns.push(conn);
    }
    const started = performance.now();
    await Promise.all(conns.map((conn) => serveLane(conn, options)));
    return (performance.now() - started) / 1000;
  } finally {
    for (const conn of conns) conn.close();
  }
}

async function serveLane<F>(conn: Deno.TcpConn, options: LoadOptions<F>): Promise<void> {
  const { window, next, take } = options;
  const reader = options.reader();
  const buffer = new Uint8Array(READ_BYTES);
  try {
    if (options.binary) await writeAll(conn, BINARY_PREAMBLE);
    for (;;) {
      const requests: LoadRequest[] = [];
      for (let request; requests.length < window && (request = next()) !== undefined;) {
        requests.push(request);
      }
      if (requests.length === 0) return;
      await writeAll(conn, joined(requests));
      for (let answered = 0; answered < requests.length;) {
        const frame = reader.next();
        if (frame instanceof DecodeError) throw frame;
        if (frame !== undefined) {
          take(frame, requests[answered++]!.tag);
          continue;
        }
        const count = await conn.read(buffer);
        if (count === null) throw new Deno.errors.ConnectionReset("The registry hung up");
        reader.push(buffer.subarray(0, count));
      }
    }
  } catch (error) {
    if (options.mayBreak !== true || !isBroken(error)) throw error;
  }
}

function joined(requests: readonly LoadRequest[]): Uint8Array {
  const [first] = requests;
  if (requests.length === 1) return first!.frame;
  const bytes = new Uint8Array(requests.reduce((sum, { frame }) => sum + frame.length, 0));
  let at = 0;
  for (const { frame } of requests) {
    bytes.set(frame, at);
    at += frame.length;
  }
  return bytes;
}

async function writeAll(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.NotConnected;
}
