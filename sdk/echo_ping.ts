/**
 * Round trips by the echo service (port 7), for daemons without a ping of their own.
 *
 * @module
 */

import type { Address } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { PORT_ECHO } from "../protocol/well_known_ports.ts";
import { type WaitOptions, withDeadline } from "./abort.ts";
import { type Dialler, using } from "./messages.ts";

/** What is sent and comes back, bytes. */
const ECHO_BYTES = 8;

/**
 * Times one round trip over a new connection, which is not counted.
 *
 * @param driver Opens the connection.
 * @param address The node.
 * @param options Longest wait for all of it, and signal.
 * @returns Milliseconds.
 * @throws {PilotError} As `Dialler.dial`; `connection_closed` when the echo service ends without an answer.
 */
export async function pingByEcho(
  driver: Dialler,
  address: Address,
  options: WaitOptions,
): Promise<number> {
  return await withDeadline(options, "Ping", async (signal) => {
    const conn = await driver.dial(address, PORT_ECHO, { signal });
    return await using(conn, async () => {
      const startMs = performance.now();
      await conn.write(crypto.getRandomValues(new Uint8Array(ECHO_BYTES)));
      for (let bytes = 0; bytes < ECHO_BYTES;) {
        const data = await conn.read({ signal });
        if (data === undefined) {
          throw new PilotError("connection_closed", "Ping: the echo service gave no answer");
        }
        bytes += data.length;
      }
      return performance.now() - startMs;
    });
  });
}
