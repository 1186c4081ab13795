/** A reset that the program has not seen yet, because it was busy, must not make its close look like a delivery. */

import { join } from "node:path";
import { IpcServer } from "../../daemon/ipc/mod.ts";
import { type Conn, connect, type Driver } from "../../sdk/mod.ts";
import { FakeBackend, SELF } from "../daemon/fake_backend.ts";
import { rejectsWith } from "./support.ts";
import { systemClock } from "../../platform/system_clock.ts";

/** A connection on which something was written that a reset of the peer has taken away. */
async function situation(
  check: (conn: Conn) => Promise<void>,
  isSeen = false,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const backend = new FakeBackend();
  const server = await IpcServer.listen({ path: join(dir, "s.sock"), clock: systemClock, backend });
  const drivers: Driver[] = [];
  try {
    const one = await connect({ socket: server.path });
    const other = await connect({ socket: server.path });
    drivers.push(one, other);
    const listener = await other.listen(4000);
    const accepting = listener.accept();
    const dialled = await one.dial(SELF, 4000);
    await accepting;
    await dialled.write("the daemon has it, the peer has not read it");
    // The peer resets; the program has not come back to its event loop since.
    backend.conns[1]!.abort();
    if (isSeen) await dialled.closed;
    await check(dialled);
  } finally {
    for (const driver of drivers) await driver[Symbol.asyncDispose]();
    await server.close();
    await Deno.remove(dir, { recursive: true });
  }
}

for (const isSeen of [false, true]) {
  const when = isSeen ? "before" : "while the program was busy";
  Deno.test(`close and closeWrite of a connection that was reset ${when} are no delivery`, async () => {
    for (const end of ["close", "closeWrite"] as const) {
      await situation(
        (conn) => rejectsWith(conn[end](), "connection_closed").then(() => {}),
        isSeen,
      );
    }
  });
}

Deno.test("a reset is reported once, and not at the end of a scope", async () => {
  await situation(async (conn) => {
    await rejectsWith(conn.read(), "connection_closed");
    await conn.close();
  });
  await situation(async (conn) => {
    await using _left = conn;
    await Promise.resolve();
  });
  await situation(async (conn) => {
    await rejectsWith(conn.close(), "connection_closed");
    await conn.close();
  });
});
