/** Helpers of the SDK's tests. */

import assert from "node:assert/strict";
import { Cmd, encodeConn } from "../../protocol/ipc/mod.ts";
import { type ErrorCode, PilotError } from "../../protocol/errors.ts";
import type { Conn, Driver } from "../../sdk/mod.ts";
import type { FakeClient, FakeDaemon, FakeStream, Mode } from "./fake_daemon.ts";

/** Both kinds of daemon. */
export const MODES: readonly Mode[] = ["tagged", "untagged"];

/** UTF-8 of a text. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Text of bytes. */
export const text = (data: Uint8Array | undefined): string => new TextDecoder().decode(data);

/** Asserts that a promise rejects with a {@linkcode PilotError} of this code. */
export async function rejectsWith(
  promise: Promise<unknown>,
  code: ErrorCode,
  message?: RegExp,
): Promise<PilotError> {
  let caught: unknown;
  await assert.rejects(promise, (error) => {
    caught = error;
    return true;
  });
  assert.ok(caught instanceof PilotError, `not a PilotError: ${caught}`);
  assert.equal(caught.code, code, caught.message);
  if (message !== undefined) assert.match(caught.message, message);
  return caught;
}

/** Whether a promise has settled once everything that could be done now has been done. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settled = () => {
    pending = false;
  };
  promise.then(settled, settled);
  await turn();
  return pending;
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** A connected pair: the program's connection and the daemon's end of it. */
export interface Pair {
  driver: Driver;
  client: FakeClient;
  conn: Conn;
  stream: FakeStream;
}

/** Dials through the fake daemon. */
export async function dialPair(daemon: FakeDaemon, id = 7): Promise<Pair> {
  const { driver, client } = await daemon.connect();
  const [conn, stream] = await Promise.all([
    driver.dial({ network: 0, node: 5 }, 1000),
    client.acceptDial(id),
  ]);
  return { driver, client, conn: kept(conn), stream };
}

/**
 * The connection, whose calls a test need not wait for: when an assertion fails, the driver is closed before anybody
 * looks at them, and their rejections would be reported in place of the assertion.
 */
function kept(conn: Conn): Conn {
  for (const name of ["write", "read", "close"] as const) {
    const call = conn[name].bind(conn) as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(conn, name, {
      value: (...args: unknown[]) => {
        const result = call(...args);
        result.catch(() => {}); // whoever waits for it still gets the error
        return result;
      },
    });
  }
  return conn;
}

/**
 * Has the daemon taken everything the program sent so far? Asks for health, which is sent behind it.
 */
export async function roundTrip({ driver, client }: Pair): Promise<void> {
  const asking = driver.health();
  client.answerJson(await client.expect(Cmd.Health), { status: "ok" });
  await asking;
}

/** Bytes that differ by position. */
export function pattern(length: number, seed = 0): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = (i * 31 + (i >> 8) + seed) & 255;
  return out;
}

/** Reads until `length` bytes are there. */
export async function readAll(conn: Conn, length: number): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const chunk = await conn.read();
    if (chunk === undefined) throw new Error(`ended after ${filled} bytes`);
    out.set(chunk, filled);
    filled += chunk.length;
  }
  return out;
}

/** Pushes Recv frames that together carry `data`, cut at `cut` bytes. */
export function pushData(stream: FakeStream, data: Uint8Array, cut: number) {
  for (let i = 0; i < data.length; i += cut) {
    stream.write(data.subarray(i, i + cut));
  }
}

/** Connection number as payload. */
export const connBytes = encodeConn;
