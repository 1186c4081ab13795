/** An aborted connection is an error at the reader: what was cut short must not look whole. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { IpcServer } from "../../daemon/ipc/mod.ts";
import { systemClock } from "../../platform/system_clock.ts";
import { connect } from "../../sdk/mod.ts";
import { FakeBackend, SELF } from "../daemon/fake_backend.ts";

Deno.test("the daemon resets an aborted connection without closing it first", async () => {
  const dir = await Deno.makeTempDir();
  const backend = new FakeBackend();
  const server = await IpcServer.listen({ path: join(dir, "s.sock"), clock: systemClock, backend });
  const driver = await connect({ socket: server.path });
  try {
    let closed = false;
    const aborted = Promise.withResolvers<void>();
    backend.ports.set(4000, () => {});
    const conn = await driver.dial(SELF, 4000);
    const [ours] = backend.conns;
    const { close, abort } = ours!;
    ours!.close = () => (closed = true, close.call(ours));
    ours!.abort = () => (aborted.resolve(), abort.call(ours));
    conn.abort();
    await aborted.promise;
    assert.equal(closed, false, "a FIN leaves before the RST");
  } finally {
    await driver[Symbol.asyncDispose]();
    await server.close();
    await Deno.remove(dir, { recursive: true });
  }
});
