/** The gateway as a process: TCP in, an agent's port out, and what happens when the daemon goes. */

import assert from "node:assert/strict";
import { Gateway } from "../../gateway/mod.ts";
import { befriend, cliArgs, eventually, World } from "./processes.ts";

/** A TCP port that nobody uses at the moment. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name: "gateway carries TCP to an agent, and says so when its daemon ends with open connections",
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
    assert.match(error.message, /daemon has stopped/);
    assert.equal(code, 8);
  },
});

Deno.test({
  name: "gateway carries each direction to its own end, whichever ends first",
  ignore: Deno.build.os !== "linux", // elsewhere 127.78.0.1 has to be set up first
  timeout: 120_000,
  async fn() {
    await using world = await World.create();
    await using alice = await world.daemon("alice");
    await using bob = await world.daemon("bob");
    await befriend(alice, bob);
    // Silence ends nothing here: a client that has ended its side is known to wait for the answer.
    const limits = { unansweredMs: 100, answeredMs: 100 };
    const port = freePort();
    await using gateway = new Gateway({
      ...{ driver: alice.driver, subnet: "127.78.0.0/16", ports: [port], limits },
    });
    const { localIp } = gateway.map(await bob.driver.address());
    await using listener = await bob.driver.listen(port);
    const connect = async () => {
      const accepting = listener.accept();
      const tcp = await Deno.connect({ hostname: localIp, port });
      return { tcp, agent: await accepting };
    };

    const { tcp: asks, agent: answers } = await connect();
    await asks.write(new TextEncoder().encode("question"));
    await asks.closeWrite();
    assert.equal(await toText(answers.readable), "question");
    await answers.write(new TextEncoder().encode("well, "));
    await new Promise((resolve) => setTimeout(resolve, 500)); // longer than the silence
    await answers.write(new TextEncoder().encode("yes"));
    await answers.close();
    assert.equal(await toText(asks.readable), "well, yes");

    const { tcp: listens, agent: speaks } = await connect();
    await speaks.write(new TextEncoder().encode("welcome"));
    const told = speaks.closeWrite();
    const buffer = new Uint8Array(100);
    const length = (await listens.read(buffer))!;
    assert.equal(new TextDecoder().decode(buffer.subarray(0, length)), "welcome");
    assert.equal(await listens.read(buffer), null);
    await told;
    await listens.write(new TextEncoder().encode("thanks"));
    await listens.closeWrite();
    assert.equal(await toText(speaks.readable), "thanks");
    await speaks.close();
    listens.close();
  },
});

function toText(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  return new Response(stream).text();
}
