/**
 * The daemon at the common socket, perhaps of another user (docs/protocol/local-socket.md §8): looked at before
 * anything is said to it, and asked who it is before anything else.
 *
 * @module
 */

import { checkCommonSocket, type CommonSocket } from "../platform/common_socket.ts";
import { readPrivateFile } from "../platform/private_files.ts";
import { PilotError } from "../protocol/errors.ts";
import type { IpcInfo } from "../protocol/ipc/mod.ts";
import type { Connector, Transport } from "./transport.ts";

/**
 * Opens a common socket that belongs to this user or to root.
 *
 * @param path The place.
 * @param connector How to open it.
 * @returns The stream; nothing has been sent. Undefined when no daemon is there.
 * @throws {PilotError} `denied` when another user's socket is there.
 */
export async function connectCommon(
  path: string,
  connector: Connector,
): Promise<Transport | undefined> {
  const before = await checkCommonSocket(path);
  if (before === undefined) return undefined;
  let transport: Transport;
  try {
    transport = await connector(path);
  } catch (error) {
    if (PilotError.from(error, "io_error").code === "not_running") return undefined;
    throw error;
  }
  try {
    const after = await checkCommonSocket(path);
    if (after === before) return transport;
    throw new PilotError("denied", `${path} was just replaced`, {
      hint: "Try again: a daemon may just have been started.",
    });
  } catch (error) {
    transport.close();
    throw error;
  }
}

/**
 * Why a daemon at the common place is not the one that is meant.
 *
 * @param info What it says about itself.
 * @param common Whose is looked for.
 * @returns One clause; undefined when it may be the one: other implementations report no home, and a home without a key
 * cannot know which is its own.
 * @throws {PilotError} `denied`, `io_error` when the key file cannot be read.
 */
export async function strangerAt(
  info: IpcInfo,
  common: CommonSocket,
): Promise<string | undefined> {
  const key = keyIn(await readPrivateFile(common.identity));
  if (key !== undefined && typeof info.public_key === "string") {
    return info.public_key === key
      ? undefined
      : `the daemon at ${common.path} has another key than ${common.identity}`;
  }
  return typeof info.home === "string" && info.home !== common.home
    ? `the daemon at ${common.path} is that of ${info.home}`
    : undefined;
}

function keyIn(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const key = JSON.parse(text)?.public_key;
    return typeof key === "string" ? key : undefined;
  } catch {
    return undefined; // damaged: starting the daemon reports it
  }
}
