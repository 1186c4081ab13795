/**
 * Whether the batch socket works on this machine: a small batch to itself, checked byte by byte.
 *
 * @module
 */

import { loadLibc } from "./libc.ts";
import { LinuxUdpSocket } from "./batch_socket.ts";

/** Two equal sizes and a shorter one: a GSO message where there is GSO. */
const SIZES = [96, 96, 40, 300];
/** Loopback delivers within the call; a loaded machine may take longer. */
const TIMEOUT_MS = 200;

let result: string | undefined;

/**
 * Tries the batch socket, once per process.
 *
 * @returns The reason why it cannot be used, or "" when it can.
 */
export function linuxSocketProblem(): string {
  return result ??= findProblem();
}

function findProblem(): string {
  if (Deno.build.os !== "linux") return `the system is ${Deno.build.os}`;
  if (Deno.build.arch !== "x86_64" && Deno.build.arch !== "aarch64") {
    return `no struct layouts for ${Deno.build.arch}`;
  }
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return "FFI is not permitted (--allow-ffi)";
  }
  try {
    return tryLoopback();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function tryLoopback(): string {
  const libc = loadLibc();
  let socket: LinuxUdpSocket;
  try {
    socket = LinuxUdpSocket.bind(libc, "127.0.0.1", 0);
  } catch (error) {
    libc.unload();
    throw error;
  }
  try {
    SIZES.forEach((size, index) => {
      socket.send(socket.acquire(size).fill(index + 1, 0, size), size, socket.local);
    });
    const got: string[] = [];
    for (let calls = 0; got.length < SIZES.length && calls < SIZES.length; calls++) {
      socket.receiveNow((data, from) => {
        const isPure = data.every((byte) => byte === data[0]);
        got.push(`${data.length}x${isPure ? data[0] : "?"}<${from.host}:${from.port}`);
      }, TIMEOUT_MS);
    }
    const { host, port } = socket.local;
    const expected = SIZES.map((size, index) => `${size}x${index + 1}<${host}:${port}`).join();
    return got.join() === expected ? "" : `a batch to itself came back as "${got.join()}"`;
  } finally {
    socket.closeNow();
  }
}
