/** The main job with real processes: trust, ping, streams, datagrams, messages, files, events. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { befriend, eventually, type Node, World } from "./processes.ts";

function pattern(bytes: number, seed: number): Uint8Array {
  const out = new Uint8Array(bytes);
  let state = seed;
  for (let i = 0; i < bytes; i++) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    out[i] = state >>> 24;
  }
  return out;
}

async function readAll(conn: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of conn) hash.update(chunk);
  return hash.digest("hex");
}

Deno.test("two daemons talk: everything an agent does works end to end", async (t) => {
  await using world = await World.create();
  await using a = await world.daemon("alice", "--hostname", "alice");
  await using b = await world.daemon("bob", "--hostname", "bob");

  await t.step("socket and cipher are those that the environment asks for", async () => {
    const ciphers: Record<string, string> = {
      libcrypto: "libcrypto",
      wasm: "WebAssembly",
      node: "node:crypto",
      noble: "@noble/ciphers",
    };
    const { socket_kind, aead } = await a.driver.info();
    // Set by `deno task test:forms`.
    const udp = Deno.env.get("PILOT_UDP");
    const cipher = Deno.env.get("PILOT_AEAD");
    if (udp !== undefined) assert.equal(socket_kind, udp);
    if (cipher !== undefined) assert.equal(aead, ciphers[cipher]);
    assert.ok(Object.values(ciphers).includes(String(aead)), `unknown cipher ${aead}`);
  });

  await t.step("an untrusted private peer can neither be dialled nor resolved", async () => {
    await assert.rejects(
      a.driver.dial(await b.node(), 7, { timeoutMs: 5_000 }),
      (error: { code?: string }) => error.code === "untrusted",
    );
  });

  await t.step("a request waits until it is approved, then both trust", async () => {
    const sent = await world.cli("alice", "handshake", "bob", "work");
    assert.equal(sent.code, 0, sent.stderr);
    const request = await eventually("bob sees the request", async () => {
      const { data } = await world.cli("bob", "pending");
      return data.pending[0];
    });
    assert.equal(request.justification, "work");
    const approved = await world.cli("bob", "approve", String(request.node_id));
    assert.equal(approved.code, 0, approved.stderr);
    await a.driver.trust.waitFor(await b.node(), { timeoutMs: 10_000 });
    assert.equal((await a.driver.trust.peers())[0]?.mutual, true);
  });

  await t.step("ping answers", async () => {
    const { code, data } = await world.cli("alice", "ping", "bob", "--count", "3");
    assert.equal(code, 0);
    assert.equal(data.received, 3);
  });

  await t.step("5 MB cross a stream in both directions at once", async () => {
    await using listener = await b.driver.listen(4000);
    const up = pattern(5_000_000, 1);
    const down = pattern(5_000_000, 2);
    const serve = (async () => {
      await using conn = await listener.accept();
      const [hash] = await Promise.all([readUntil(conn, up.length), conn.write(down)]);
      return hash;
    })();
    await using conn = await a.driver.dial("bob", 4000);
    const [hash] = await Promise.all([readUntil(conn, down.length), conn.write(up)]);
    assert.equal(hash, sha256(down));
    assert.equal(await serve, sha256(up));
  });

  await t.step("a close delivers everything before it", async () => {
    await using listener = await b.driver.listen(4001);
    const sent = pattern(300_000, 3);
    const received = (async () => {
      await using conn = await listener.accept();
      return await readAll(conn);
    })();
    const conn = await a.driver.dial("bob", 4001);
    await conn.write(sent);
    await conn.close();
    assert.equal(await received, sha256(sent));
  });

  await t.step("nothing listening is refused at once", async () => {
    await assert.rejects(
      a.driver.dial("bob", 4999),
      (error: { code?: string }) => error.code === "connection_refused",
    );
  });

  await t.step("a datagram arrives", async () => {
    await using datagrams = b.driver.datagrams(5000);
    const arrived = datagrams[Symbol.asyncIterator]().next();
    await a.driver.sendDatagram("bob", 5000, new TextEncoder().encode("dgram"));
    const { value } = await arrived;
    assert.equal(new TextDecoder().decode(value.data), "dgram");
  });

  await t.step("a message lands in the inbox and a 20 MB file arrives whole", async () => {
    await a.driver.sendMessage("bob", "hello bob");
    const inbox = await world.cli("bob", "inbox");
    assert.equal(inbox.data.messages.length, 1);
    assert.match(JSON.stringify(inbox.data.messages[0]), /hello bob/);
    const file = pattern(20_000_000, 4);
    const path = `${world.dir}/twenty.bin`;
    await Deno.writeFile(path, file);
    const sent = await world.cli("alice", "send-file", "bob", path);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(sent.data.sha256, sha256(file));
    const { data } = await world.cli("bob", "received");
    assert.equal(sha256(await Deno.readFile(data.files[0].path)), sha256(file));
  });

  await t.step("an event reaches its subscriber", async () => {
    await using events = await a.driver.subscribe("bob", "news");
    let hasArrived = false;
    const first = events[Symbol.asyncIterator]().next().finally(() => hasArrived = true);
    // Nobody confirms a subscription, so events are sent until the first one comes back.
    await eventually("the subscription stands", async () => {
      await a.driver.publish("bob", "news", "extra");
      return hasArrived || undefined;
    });
    const { value } = await first;
    assert.equal(value.topic, "news");
    assert.equal(new TextDecoder().decode(value.payload), "extra");
  });

  await t.step("revoking trust cuts live connections on both sides", async () => {
    await using listener = await b.driver.listen(4002);
    const accepted = listener.accept();
    const conn = await a.driver.dial("bob", 4002);
    const remote = await accepted;
    const ended = Promise.allSettled([readAll(conn), readAll(remote)]);
    await b.driver.trust.revoke(await a.node());
    for (const result of await ended) assert.equal(result.status, "rejected");
    await eventually("alice has forgotten bob", async () => {
      return (await a.driver.trust.peers()).length === 0 || undefined;
    });
    await assert.rejects(a.driver.dial(await b.node(), 7, { timeoutMs: 3_000 }));
    await Promise.allSettled([conn.close(), remote.close()]);
  });

  await t.step("and they can become friends again", async () => {
    await befriend(a, b);
    await using conn = await a.driver.dial(await b.node(), 7);
    await conn.write("back");
    assert.equal(new TextDecoder().decode(await conn.read()), "back");
  });
});

Deno.test("a daemon that stops in order leaves neither socket nor pid file", async () => {
  await using world = await World.create();
  const node: Node = await world.daemon("solo");
  assert.equal(await node.kill("SIGTERM"), 0);
  const left = [...Deno.readDirSync(node.home)].map((entry) => entry.name);
  assert.ok(!left.includes("pilot.sock") && !left.includes("pilot.pid"), left.join(" "));
});

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

async function readUntil(
  conn: { read(): Promise<Uint8Array | undefined> },
  bytes: number,
): Promise<string> {
  const hash = createHash("sha256");
  for (let got = 0; got < bytes;) {
    const chunk = await conn.read();
    assert.ok(chunk !== undefined, `ended after ${got} of ${bytes} bytes`);
    hash.update(chunk);
    got += chunk.length;
  }
  return hash.digest("hex");
}
