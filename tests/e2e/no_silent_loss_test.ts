/** Streams and subscriptions with real processes: whatever is lost is told. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { connect } from "../../mod.ts";
import { befriend, cliArgs, eventually, type Node, World } from "./processes.ts";

/** A broker that was killed and is back must be noticed within this time; its streams alone would take 40 s. */
const NOTICED_MS = 20_000;

/** A CLI process with pipes. */
function start(world: World, name: string, args: readonly string[], stdin: "piped" | "null") {
  return new Deno.Command(Deno.execPath(), {
    args: cliArgs(...args),
    env: world.env(name),
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/**
 * Starts `recv` where nothing else listens but the services, and waits for its port. The count of bound ports shows it:
 * a look by listening there as well would be in the way of `recv`.
 */
async function receive(world: World, node: Node, services: number, port: number) {
  const bound = async () => (await node.driver.info()).ports;
  await eventually("earlier ports are free", async () => await bound() === services || undefined);
  const receiving = start(world, node.name, ["recv", `${port}`], "null");
  await eventually(
    `${node.name} listens on ${port}`,
    async () => await bound() === services + 1 || undefined,
  );
  return receiving;
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

Deno.test("what is piped into send comes out of recv, whole or with an error on both sides", async (t) => {
  await using world = await World.create();
  await using alice = await world.daemon("alice", "--hostname", "alice");
  await using bob = await world.daemon("bob", "--hostname", "bob");
  await befriend(alice, bob);

  const { ports: services } = await bob.driver.info();

  await t.step("20 MB of bytes in pieces", async () => {
    const receiving = (await receive(world, bob, services, 6000)).output();
    const sending = start(world, "alice", ["send", "bob", "6000", "--file", "-"], "piped");
    const bytes = new Uint8Array(20_000_000);
    for (let i = 0; i < bytes.length; i += 65_536) {
      crypto.getRandomValues(bytes.subarray(i, i + 65_536));
    }
    const input = sending.stdin.getWriter();
    for (let i = 0; i < bytes.length; i += 3_000_000) {
      await input.write(bytes.subarray(i, i + 3_000_000));
    }
    await input.close();
    const [sent, received] = await Promise.all([sending.output(), receiving]);
    const told = new TextDecoder().decode(sent.stderr) + new TextDecoder().decode(received.stderr);
    assert.deepEqual([sent.code, received.code], [0, 0], told);
    assert.equal(sha256(received.stdout), sha256(bytes));
  });

  await t.step(
    "a program that answers at the end of what it reads, to a sender that tells it",
    async () => {
      await using listener = await bob.driver.listen(6001);
      const answering = (async () => {
        await using conn = (await listener.accept())!;
        let bytes = 0;
        for await (const chunk of conn) bytes += chunk.length;
        await conn.write(`${bytes} bytes`);
      })();
      const sending = start(
        world,
        "alice",
        ["send", "bob", "6001", "--file", "-", "--close-write"],
        "piped",
      );
      const input = sending.stdin.getWriter();
      await input.write(new Uint8Array(300_000));
      await input.close();
      const [sent] = await Promise.all([sending.output(), answering]);
      const [shown, told] = [sent.stdout, sent.stderr].map((text) =>
        new TextDecoder().decode(text)
      );
      assert.deepEqual([sent.code, shown], [0, "300000 bytes"], told);
    },
  );

  for (const isHalfClosed of [false, true]) {
    await t.step(`an aborted connection, reader half-closed: ${isHalfClosed}`, async () => {
      await using listener = await bob.driver.listen(6005);
      const conn = await alice.driver.dial("bob", 6005);
      const accepted = (await listener.accept())!;
      await accepted.write("half");
      if (isHalfClosed) await conn.closeWrite();
      const first = await conn.read();
      assert.equal(new TextDecoder().decode(first), "half");
      const rest = assert.rejects(conn.read(), { code: "connection_closed" });
      accepted.abort();
      await rest;
      await conn.close().catch(() => {}); // it has failed already
    });
  }

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 130], ["SIGKILL", 137]] as const) {
    await t.step(`a sender that is ended by ${signal}`, async () => {
      const port = `${5_000 + code}`;
      const receiving = await receive(world, bob, services, Number(port));
      const sending = start(world, "alice", ["send", "bob", port, "--file", "-"], "piped");
      const input = sending.stdin.getWriter();
      await input.write(new Uint8Array(100_000));
      const output = receiving.stdout.getReader();
      assert.ok((await output.read()).value!.length > 0);
      sending.kill(signal);
      output.releaseLock();
      const [sent, received] = await Promise.all([sending.output(), receiving.output()]);
      await input.abort().catch(() => {}); // it has gone already
      assert.deepEqual([sent.code, received.code], [code, 8]);
    });
  }

  await t.step("a sender whose daemon is stopped", async () => {
    const receiving = await receive(world, bob, services, 6003);
    const sending = start(world, "alice", ["send", "bob", "6003", "--file", "-"], "piped");
    const input = sending.stdin.getWriter();
    await input.write(new Uint8Array(100_000));
    const output = receiving.stdout.getReader();
    assert.ok((await output.read()).value!.length > 0);
    await alice.kill("SIGTERM");
    output.releaseLock();
    const [sent, received] = await Promise.all([sending.output(), receiving.output()]);
    await input.abort().catch(() => {}); // likewise
    await alice.start();
    assert.deepEqual([sent.code, received.code], [8, 8]);
  });

  await t.step("a reader of recv that has had enough", async () => {
    const receiving = await receive(world, bob, services, 6004);
    const sending = start(world, "alice", ["send", "bob", "6004", "--file", "/dev/zero"], "null");
    const output = receiving.stdout.getReader();
    assert.ok((await output.read()).value!.length > 0);
    await output.cancel();
    const [{ code, stderr }, sent] = await Promise.all([
      receiving.status.then(async ({ code }) => ({
        code,
        stderr: await new Response(receiving.stderr).text(),
      })),
      sending.output(),
    ]);
    assert.deepEqual([code, stderr], [141, ""], "as every program that writes into a closed pipe");
    assert.equal(sent.code, 8);
  });

  await t.step("a receiver that is interrupted", async () => {
    const receiving = await receive(world, bob, services, 6002);
    const sending = start(world, "alice", ["send", "bob", "6002", "--file", "-"], "piped");
    const input = sending.stdin.getWriter();
    await input.write(new Uint8Array(100_000));
    const output = receiving.stdout.getReader();
    assert.ok((await output.read()).value!.length > 0);
    receiving.kill("SIGINT");
    output.releaseLock();
    const [received, sent] = await Promise.all([receiving.output(), sending.output()]);
    await input.abort().catch(() => {}); // it has gone already
    assert.deepEqual([sent.code, received.code], [8, 130]);
  });
});

/** Takes events until there are no more. */
async function last(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}

/** Publishes until a subscriber has got it: nobody confirms a subscription. */
async function untilArrived(broker: Node, text: string, got: readonly string[]): Promise<void> {
  await eventually(`"${text}" arrives`, async () => {
    await broker.driver.publish(await broker.node(), "t", text);
    return got.includes(text) || undefined;
  });
}

Deno.test("a subscription reports that its broker or its own daemon ended, or continues when asked to", async () => {
  await using world = await World.create();
  await using alice = await world.daemon("alice", "--hostname", "alice");
  await using bob = await world.daemon("bob", "--hostname", "bob");
  await befriend(alice, bob);
  const plain = await alice.driver.subscribe("bob", "t");
  await using program = await connect({ socket: join(alice.home, "pilot.sock") });
  const again = await program.subscribe("bob", "t", {
    resubscribe: true,
    onInterrupted: ({ code }) => void told.push(code),
    onResumed: () => void told.push("resumed"),
  });
  const told: string[] = [];
  const got: string[] = [];
  const kept: string[] = [];
  const reading = (async () => {
    for await (const { payload } of plain) got.push(new TextDecoder().decode(payload));
  })();
  const failed = assert.rejects(reading, { name: "PilotError" });
  const keeping = (async () => {
    for await (const { payload } of again) kept.push(new TextDecoder().decode(payload));
  })();
  await untilArrived(bob, "before", got);
  await untilArrived(bob, "before too", kept);

  await bob.kill("SIGKILL");
  await bob.start();
  const back = performance.now();
  await failed;
  assert.ok(performance.now() - back < NOTICED_MS, "the killed broker is noticed");
  await untilArrived(bob, "after a kill", kept);
  assert.equal(told.at(-1), "resumed");

  const ending = alice.driver.subscribe("bob", "t");
  const ended = assert.rejects(last(await ending), { code: "connection_closed" });
  const cli = start(world, "alice", ["subscribe", "bob", "t"], "null");
  const output = cli.stdout.getReader();
  let isSubscribed = false;
  const first = output.read().then(() => isSubscribed = true);
  await eventually("the command has subscribed", async () => {
    await bob.driver.publish(await bob.node(), "t", "for the command");
    return isSubscribed || undefined;
  });
  await first;
  output.releaseLock();
  await bob.kill("SIGTERM");
  await ended;
  const { code, stderr } = await cli.output();
  assert.equal(code, 8);
  assert.match(
    new TextDecoder().decode(stderr),
    /ended the subscription .*\nhint: .*--resubscribe/,
  );
  await bob.start();
  await untilArrived(bob, "after a stop", kept);

  await alice.kill("SIGKILL");
  await alice.start();
  await untilArrived(bob, "after our own restart", kept);
  await again.close();
  await keeping;
});
