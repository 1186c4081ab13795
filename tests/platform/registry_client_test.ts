import assert from "node:assert/strict";
import {
  CONNECT_TIMEOUT_MS,
  MAX_OUTSTANDING,
  RegistryClient,
  REPLY_TIMEOUT_MS,
} from "../../platform/registry_client.ts";
import { encodeJsonFrame, type JsonObject } from "../../protocol/registry/registry_message.ts";
import { setTags } from "../../protocol/registry/requests/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { RegistryServer } from "../daemon/harness/registry_server.ts";

async function withClient(
  body: (parts: { server: RegistryServer; client: RegistryClient; clock: ManualClock }) => Promise<
    void
  >,
): Promise<void> {
  await using server = new RegistryServer();
  const clock = new ManualClock();
  const client = new RegistryClient({ address: server.address, clock });
  try {
    await body({ server, client, clock });
  } finally {
    await client.close();
  }
  assert.equal(clock.pending, 0, "no timer is left");
}

Deno.test("RegistryClient pipelines requests on one connection and matches replies by order", () =>
  withClient(async ({ server, client }) => {
    const replies = [1, 2, 3].map((n) => client.request({ type: "lookup", n }));
    const arrived = [await server.next(), await server.next(), await server.next()];
    assert.deepEqual(arrived.map(({ request }) => request.n), [1, 2, 3]);
    for (const { request, connection } of arrived) await connection.reply({ n: request.n });
    assert.deepEqual(await Promise.all(replies), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.equal(server.connections.length, 1);
    assert.ok(client.isConnected);
    assert.equal(client.localHost, "127.0.0.1");
  }));

Deno.test("RegistryClient reads replies that come in pieces", () =>
  withClient(async ({ server, client }) => {
    const reply = client.request({ type: "lookup" });
    const { connection } = await server.next();
    const body = new TextEncoder().encode(JSON.stringify({ text: "x".repeat(100_000) }));
    const frame = new Uint8Array(4 + body.length);
    new DataView(frame.buffer).setUint32(0, body.length);
    frame.set(body, 4);
    for (const [from, to] of [[0, 2], [2, 5], [5, 50_000], [50_000, frame.length]]) {
      await connection.send(frame.subarray(from, to));
    }
    assert.equal(String((await reply).text).length, 100_000);
  }));

Deno.test("RegistryClient turns the registry's error texts into codes", async (t) => {
  const cases: [string, string][] = [
    ["node not found", "not_found"],
    ["hostname already taken", "already_exists"],
    ["rate limited", "limit_exceeded"],
    ["invalid address", "invalid_argument"],
    ["public_key required", "invalid_argument"],
    ["something else", "denied"],
  ];
  for (const [error, code] of cases) {
    await t.step(error, () =>
      withClient(async ({ server, client }) => {
        server.auto = () => ({ error });
        await assert.rejects(client.request({ type: "resolve" }), {
          code,
          message: new RegExp(error),
        });
        assert.ok(client.isConnected, "a refusal does not end the connection");
      }));
  }
});

Deno.test("RegistryClient takes the registry's code before its text, if a registry may send that one", () =>
  withClient(async ({ server, client }) => {
    const cases: [unknown, string][] = [
      ...["invalid_argument", "not_found", "already_exists", "denied", "limit_exceeded"].map(
        (code): [string, string] => [code, code],
      ),
      ...["invalid_state", "protocol_error"].map((code): [string, string] => [code, code]),
      // Of the link, of ours, of nobody: then the text counts.
      ...["untrusted", "aborted", "internal", "not_running", "toString", "", 7, null, {}].map(
        (code): [unknown, string] => [code, "limit_exceeded"],
      ),
    ];
    for (const [code, expected] of cases) {
      server.auto = () => ({ type: "error", error: "rate limited", code });
      await assert.rejects(client.request({ type: "resolve" }), { code: expected }, String(code));
    }
    server.auto = () => ({ type: "error", error: "the registry is busy", code: "unavailable" });
    await assert.rejects(client.request({ type: "resolve" }), { code: "unavailable" });
    server.auto = () => ({ type: "resolve_ok", code: "denied" });
    assert.deepEqual(await client.request({ type: "resolve" }), {
      type: "resolve_ok",
      code: "denied",
    });
  }));

Deno.test("RegistryClient.call gives a reply of the right types, whatever has come", () =>
  withClient(async ({ server, client }) => {
    const sent: JsonObject[] = [];
    server.auto = (request) => {
      sent.push(request);
      return { type: "set_tags_ok", tags: ["a", 7], node_id: "x", more: 1 };
    };
    const fields = { node_id: 7, tags: ["a"] };
    const { node_id, tags, more } = await client.call(setTags, fields, { signature: "s" });
    assert.deepEqual({ node_id, tags, more }, { node_id: 0, tags: ["a"], more: 1 });
    assert.deepEqual(sent, [{ type: "set_tags", ...fields, signature: "s" }]);
  }));

Deno.test("RegistryClient names what the registry does not have, and what to do about it", () =>
  withClient(async ({ server, client }) => {
    const isPrivate = { hint: /may be private/ };
    const cases: [string, string, object][] = [
      ["node 7: node not found", "Node 7 not found in the registry", isPrivate],
      ["node 7: not found", "Node 7 not found in the registry", isPrivate],
      ['hostname "x" not found', 'Hostname "x" not found in the registry', isPrivate],
      ["network 3: network not found", "Network 3 not found in the registry", {
        advice: { id: "list_networks" },
      }],
      ["request failed", "Registry refused resolve: request failed", { hint: /gives no reason/ }],
    ];
    for (const [error, message, remedy] of cases) {
      server.auto = () => ({ error });
      await assert.rejects(client.request({ type: "resolve" }), { message, ...remedy });
    }
  }));

Deno.test("RegistryClient mentions TLS when the registry ends a connection before any answer", () =>
  withClient(async ({ server, client }) => {
    const outcome = assert.rejects(client.request({ type: "lookup" }), {
      code: "unavailable",
      message: /without an answer.*TLS/,
    });
    (await server.next()).connection.close();
    await outcome;
  }));

Deno.test("RegistryClient connects again and repeats what was lost with the connection", () =>
  withClient(async ({ server, client }) => {
    server.auto = ({ type }) => type === "hello" ? { ok: true } : undefined;
    await client.request({ type: "hello" });
    const lost = client.request({ type: "lookup", n: 1 });
    (await server.next()).connection.close();
    const again = await server.next();
    assert.equal(again.request.n, 1);
    await again.connection.reply({ n: 1 });
    assert.deepEqual(await lost, { n: 1 });
    assert.equal(server.connections.length, 2);
  }));

Deno.test("RegistryClient gives up a request that is lost twice", () =>
  withClient(async ({ server, client }) => {
    server.auto = ({ type }) => type === "hello" ? { ok: true } : undefined;
    await client.request({ type: "hello" });
    const lost = client.request({ type: "lookup" });
    (await server.next()).connection.close();
    (await server.next()).connection.close();
    await assert.rejects(lost, { code: "unavailable", message: /closed the connection/ });
    assert.equal(server.waiting, 0);
  }));

Deno.test("RegistryClient survives that the registry closes an idle connection", () =>
  withClient(async ({ server, client }) => {
    server.auto = () => ({ ok: true });
    await client.request({ type: "hello" });
    server.connections[0]!.close();
    assert.deepEqual(await client.request({ type: "hello" }), { ok: true });
  }));

Deno.test("RegistryClient ends the connection when a reply takes too long, for its order is lost", () =>
  withClient(async ({ server, client, clock }) => {
    const outcome = assert.rejects(client.request({ type: "lookup" }), {
      code: "unavailable",
      message: /no answer in 10000 ms/,
    });
    await server.next();
    await clock.run(REPLY_TIMEOUT_MS - 1);
    assert.ok(client.isConnected);
    await clock.run(1);
    await outcome;
    assert.ok(!client.isConnected);
  }));

Deno.test("RegistryClient takes no late reply for the answer to the next request", () =>
  withClient(async ({ server, client, clock }) => {
    const outcome = assert.rejects(client.request({ type: "lookup", n: 1 }), {
      code: "unavailable",
    });
    const first = await server.next();
    await clock.run(REPLY_TIMEOUT_MS);
    await outcome;
    const next = client.request({ type: "lookup", n: 2 });
    const second = await server.next();
    await first.connection.reply({ n: 1 }).catch(() => {});
    await second.connection.reply({ n: 2 });
    assert.deepEqual(await next, { n: 2 });
  }));

const invalid: Record<string, Uint8Array> = {
  "not JSON": Uint8Array.of(0, 0, 0, 3, 0x7b, 0x7b, 0x7b),
  "not an object": Uint8Array.of(0, 0, 0, 2, 0x5b, 0x5d),
  "a length above the limit": Uint8Array.of(0xff, 0xff, 0xff, 0xff),
  "HTTP": new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"),
};
for (const [what, bytes] of Object.entries(invalid)) {
  Deno.test(`RegistryClient fails with unavailable when it is answered with ${what}`, () =>
    withClient(async ({ server, client }) => {
      const request = client.request({ type: "lookup" });
      await (await server.next()).connection.send(bytes);
      await assert.rejects(request, { code: "unavailable", message: /invalid frame/ });
      assert.ok(!client.isConnected);
    }));
}

Deno.test("RegistryClient ignores replies beyond those it asked for", () =>
  withClient(async ({ server, client }) => {
    const first = client.request({ type: "lookup", n: 1 });
    const { connection } = await server.next();
    // In one piece, so that the surprise is read together with the reply.
    const frames = [{ n: 1 }, { surprise: true }].map(encodeJsonFrame);
    await connection.send(new Uint8Array(frames.flatMap((frame) => [...frame])));
    assert.deepEqual(await first, { n: 1 });
    const second = client.request({ type: "lookup", n: 2 });
    await (await server.next()).connection.reply({ n: 2 });
    assert.deepEqual(await second, { n: 2 });
  }));

Deno.test("RegistryClient refuses requests beyond its limit and those too large to send", () =>
  withClient(async ({ server, client, clock }) => {
    server.auto = ({ type }) => type === "hello" ? { ok: true } : undefined;
    await client.request({ type: "hello" });
    await assert.rejects(client.request({ type: "x", text: "x".repeat(5 << 20) }), {
      code: "limit_exceeded",
    });
    assert.equal(clock.pending, 0, "a request that was never sent cannot time out");
    const requests = Array.from(
      { length: MAX_OUTSTANDING },
      (_, n) => client.request({ type: "lookup", n }),
    );
    const outcomes = Promise.allSettled(requests);
    for (let i = 0; i < MAX_OUTSTANDING; i++) await server.next();
    await assert.rejects(client.request({ type: "lookup" }), { code: "limit_exceeded" });
    await client.close();
    const codes = (await outcomes).map((outcome) =>
      outcome.status === "rejected" ? outcome.reason.code : "resolved"
    );
    assert.deepEqual([...new Set(codes)], ["unavailable"]);
  }));

Deno.test("RegistryClient fails with unavailable when nobody listens, and finds the registry later", async () => {
  const clock = new ManualClock();
  let address: string;
  {
    await using server = new RegistryServer();
    address = server.address;
  }
  const client = new RegistryClient({ address, clock });
  await assert.rejects(client.request({ type: "hello" }), {
    code: "unavailable",
    message: new RegExp(address),
  });
  await using server = new RegistryServer(Number(address.split(":")[1]));
  server.auto = () => ({ ok: true });
  assert.deepEqual(await client.request({ type: "hello" }), { ok: true });
  await client.close();
});

Deno.test("RegistryClient.close fails what is pending and refuses what comes later", () =>
  withClient(async ({ server, client }) => {
    const request = client.request({ type: "lookup" });
    const outcome = assert.rejects(request, { code: "unavailable" });
    await server.next();
    await client.close();
    await outcome;
    await assert.rejects(client.request({ type: "lookup" }), { code: "unavailable" });
    assert.ok(!client.isConnected);
  }));

Deno.test("RegistryClient.close while connecting leaves nothing open", () =>
  withClient(async ({ client }) => {
    const outcome = assert.rejects(client.request({ type: "lookup" }), { code: "unavailable" });
    await client.close();
    await outcome;
    assert.ok(!client.isConnected);
  }));

Deno.test("RegistryClient gives up a connection attempt that hangs, or at once when it is closed", async () => {
  const real = Deno.connect;
  const clock = new ManualClock();
  // A host that does not answer at all: nothing on loopback behaves like that.
  const hanging = (options: Deno.ConnectOptions) =>
    new Promise<Deno.TcpConn>((_, reject) => {
      const { signal } = options as { signal?: AbortSignal };
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  Deno.connect = hanging as typeof Deno.connect;
  try {
    const client = new RegistryClient({ address: "192.0.2.1:9000", clock });
    const start = clock.now();
    await assert.rejects(clock.finish(client.request({ type: "hello" })), {
      code: "unavailable",
      message: /no answer/,
    });
    assert.equal(clock.now() - start, CONNECT_TIMEOUT_MS);
    const outcome = assert.rejects(client.request({ type: "hello" }), { code: "unavailable" });
    await client.close();
    await outcome;
    assert.equal(clock.pending, 0);
  } finally {
    Deno.connect = real;
  }
});

Deno.test("RegistryClient keeps its promises when requests come from within replies", () =>
  withClient(async ({ server, client }) => {
    server.auto = ({ n }: JsonObject) => ({ n });
    const chain = async (n: number): Promise<unknown[]> => {
      const { n: got } = await client.request({ type: "lookup", n });
      return n === 0 ? [got] : [got, ...await chain(n - 1)];
    };
    assert.deepEqual(await Promise.all([chain(5), chain(3)]), [[5, 4, 3, 2, 1, 0], [3, 2, 1, 0]]);
  }));
