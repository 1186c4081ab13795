/** The gateway as a process: TCP in, an agent's port out, and what happens when the daemon goes. */

import assert from "node:assert/strict";
import { befriend, cliArgs, eventually, World } from "./processes.ts";

/** A TCP port that nobody uses at the moment. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name:
    "gateway carries TCP to an agent, and says so when its daemon ends with connections under way",
  ignore: Deno.build.os !== "linux", // elsewhere 127.77.0.1 has to be set up first
  timeout: 120_000,
  async fn() {
    await using world = await World.create();
    await using alice = await world.daemon("alice");
    await using bob = await world.daemon("bob", "--hostname", "bob");
    await befriend(alice, bob);
    const port = freePort();
    await using listener = await bob.driver.listen(port);
    const serving = (async () => {
      const conn = await listener.accept();
      const request = await conn.read();
      await conn.write(new TextEncoder().encode(`you said ${new TextDecoder().decode(request)}`));
      await conn.close();
    })();

    const gateway = new Deno.Command(Deno.execPath(), {
      args: cliArgs("gateway", "run", "bob", "--ports", String(port), "--json"),
      env: world.env("alice"),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(gateway.stderr).text();
    const lines = gateway.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { data } = JSON.parse((await lines.read()).value!);
    const hostname = data.mappings[0].local_ip;

    using tcp = await Deno.connect({ hostname, port });
    await tcp.write(new TextEncoder().encode("hello"));
    const answer = new Uint8Array(100);
    const length = await tcp.read(answer);
    assert.equal(new TextDecoder().decode(answer.subarray(0, length!)), "you said hello");
    await serving;

    // Nobody answers this one any more: it is being dialled when the gateway's own daemon ends.
    await bob.kill("SIGKILL");
    using waiting = await Deno.connect({ hostname, port });
    await waiting.write(new TextEncoder().encode("anybody?"));
    await eventually("the daemon dials", async () => {
      const { conn_list } = await alice.driver.info() as { conn_list?: { state?: string }[] };
      return conn_list?.some(({ state }) => state === "SYN_SENT") || undefined;
    });
    await alice.kill("SIGTERM");
    const { code } = await gateway.status;
    await lines.cancel();
    const error = JSON.parse(await errors);
    assert.equal(error.code, "connection_closed");
    assert.match(error.message, /daemon has ended/);
    assert.equal(code, 8);
  },
});
