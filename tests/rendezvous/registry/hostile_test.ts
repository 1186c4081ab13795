/** Half frames, huge lengths, garbage, floods: nobody else notices (docs/protocol/registry.md §1.3, §1.6). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_REQUEST_BYTES } from "../../../rendezvous/registry/registry_limits.ts";
import { jsonFrame, RawClient, registered, split } from "../support/client.ts";
import { pass, start, withServer } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { assertSlowReaderIsDropped } from "../support/slow_reader.ts";

const encoder = new TextEncoder();

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

/** Asserts that the server ends the connection without a reply. */
async function closed(client: RawClient): Promise<void> {
  assert.equal(await client.read(1), undefined);
}

Deno.test("frames without sense end the connection silently", () =>
  withServer(async ({ server }) => {
    const frames: Uint8Array[] = [
      u32(0),
      u32(MAX_REQUEST_BYTES + 1),
      u32(0xffffffff),
      jsonFrame("[]"),
      jsonFrame("null"),
      jsonFrame('"text"'),
      jsonFrame("{"),
      jsonFrame('{"type":"lookup"} x'),
      jsonFrame("[".repeat(70_000)),
      Uint8Array.of(...u32(2), 0xff, 0xfe),
      encoder.encode("GET / HTTP/1.1\r\n\r\n"),
    ];
    for (const frame of frames) {
      using client = await RawClient.open(server.registryAddr);
      await client.write(frame);
      await closed(client);
    }
  }));

Deno.test("binary frames of an impossible length end the connection silently", () =>
  withServer(async ({ server }) => {
    for (const length of [0, MAX_REQUEST_BYTES + 1, 0xffffffff]) {
      using client = await RawClient.open(server.registryAddr);
      await client.write(Uint8Array.of(0x50, 0x49, 0x4c, 0x54, 1, ...u32(length)));
      await closed(client);
    }
  }));

Deno.test("a request in pieces is answered once it is whole, several at once in order", () =>
  withServer(async ({ server, client: setup }) => {
    const node = await registered(setup);
    using client = await RawClient.open(server.registryAddr);
    const frame = jsonFrame(JSON.stringify({ type: "lookup", node_id: node.id }));
    for (const byte of frame) await client.write(Uint8Array.of(byte));
    assert.ok(await client.readFrame());
    const unknown = jsonFrame('{"type":"lookup","node_id":99}');
    await client.write(Uint8Array.of(...frame, ...unknown, ...frame.subarray(0, 9)));
    assert.match(new TextDecoder().decode(await client.readFrame()), /lookup_ok/);
    assert.match(new TextDecoder().decode(await client.readFrame()), /node 99: node not found/);
    await client.write(frame.subarray(9));
    assert.match(new TextDecoder().decode(await client.readFrame()), /lookup_ok/);
  }));

Deno.test("requests with any fields of any type are answered", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const types = [
      "register",
      "heartbeat",
      "deregister",
      "rotate_key",
      "get_key_info",
      "lookup",
      "resolve",
      "resolve_hostname",
      "set_hostname",
      "set_visibility",
      "set_tags",
      "set_task_exec",
      "report_trust",
      "revoke_trust",
      "check_trust",
      "request_handshake",
      "poll_handshakes",
      "respond_handshake",
      "list_networks",
      "list_nodes",
      "beacon_list",
      "punch",
    ];
    const fields = [
      "node_id",
      "peer_id",
      "requester_id",
      "from_node_id",
      "to_node_id",
      "public_key",
      "listen_addr",
      "lan_addrs",
      "hostname",
      "tags",
      "signature",
      "purpose",
      "admin_token",
      "network_id",
    ];
    const value = fc.oneof(fc.jsonValue(), fc.constant(node.id), fc.constant("AAAA"));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...types),
        fc.dictionary(fc.constantFrom(...fields), value),
        async (type, request) => {
          const reply = await client.call({ ...request, type });
          assert.ok(reply["type"] === "error" || reply["type"] === `${type}_ok`);
        },
      ),
      { numRuns: 300 },
    );
  }));

Deno.test("random bytes affect nothing but their connection", () =>
  withServer(async ({ server, client }) => {
    const node = await registered(client);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom([], [0x50, 0x49, 0x4c, 0x54, 1]),
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        async (prefix, bytes) => {
          using hostile = await RawClient.open(server.registryAddr);
          await hostile.write(Uint8Array.of(...prefix, ...bytes));
          await client.ok({ type: "lookup", node_id: node.id });
        },
      ),
      { numRuns: 50 },
    );
  }));

Deno.test("large requests are answered, up to what a policy document needs, and many at once in order", async () => {
  await using server = await start();
  const text = "x".repeat(MAX_REQUEST_BYTES - 100);
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => RawClient.open(server.registryAddr)),
  );
  const request = jsonFrame(JSON.stringify({ type: "resolve_hostname", hostname: text }));
  await Promise.all(clients.map(async (client) => {
    await client.write(request);
    await client.write(jsonFrame('{"type":"list_networks"}'));
    const first = JSON.parse(new TextDecoder().decode(await client.readFrame()));
    assert.match(first.error, /not found$/);
    const second = JSON.parse(new TextDecoder().decode(await client.readFrame()));
    assert.equal(second.type, "list_networks_ok");
    client.close();
  }));
});

Deno.test("idle and trickling connections end after their time", async () => {
  const clock = new ManualClock();
  await using server = await start({ clock });
  using busy = await RawClient.open(server.registryAddr);
  using idle = await RawClient.open(server.registryAddr);
  await busy.ok({ type: "list_networks" });
  await idle.ok({ type: "list_networks" });
  using slow = await RawClient.open(server.registryAddr);
  const frame = jsonFrame('{"type":"list_networks"}');
  // Two requests in one write: when the answer to the first is here, the beginning of the second has been read.
  await slow.write(Uint8Array.of(...frame, ...frame.subarray(0, 6)));
  assert.ok(await slow.readFrame());
  await pass(server, clock, 29_000);
  await slow.write(frame.subarray(6, 7)); // does not buy more time
  await pass(server, clock, 2_000);
  await closed(slow);
  clock.advance(200_000);
  await busy.ok({ type: "list_networks" });
  await pass(server, clock, 70_000);
  await closed(idle);
  await busy.ok({ type: "list_networks" });
});

Deno.test("a connection that asks too much over its life is slowed, then closed", async () => {
  const clock = new ManualClock();
  await using server = await start({ clock });
  using client = await RawClient.open(server.registryAddr);
  const many = 2_600; // above 500 a second for 5 s
  const frame = jsonFrame('{"type":"x"}');
  const burst = new Uint8Array(frame.length * many);
  for (let i = 0; i < many; i++) burst.set(frame, i * frame.length);
  const sent = client.write(burst);
  for (let i = 0; i < many; i++) assert.ok(await client.readFrame());
  await sent;
  clock.advance(5_000);
  await client.write(frame);
  await closed(client);
});

Deno.test("a client that does not read is dropped and holds up nobody", async () => {
  const clock = new ManualClock();
  await using server = await start({ clock });
  const slow = await Deno.connect(split(server.registryAddr));
  const open = () => RawClient.open(server.registryAddr);
  await assertSlowReaderIsDropped({ server, clock, slow, open });
});

Deno.test("connections above the limits are closed at once", async () => {
  const limits = { registry: { connections: 3, connectionsPerSource: 2 } };
  await using server = await start({ limits });
  using first = await RawClient.open(server.registryAddr);
  await first.ok({ type: "list_networks" });
  {
    using second = await RawClient.open(server.registryAddr);
    await second.ok({ type: "list_networks" });
    using third = await RawClient.open(server.registryAddr);
    await closed(third);
  }
  // The place of the second becomes free when the server has seen its end.
  for (;;) {
    using again = await RawClient.open(server.registryAddr);
    await again.write(jsonFrame('{"type":"list_networks"}'));
    if (await again.readFrame() !== undefined) break;
  }
});

Deno.test("begun requests of all connections together are bounded", async () => {
  const limits = { registry: { partialBytes: 100_000 } };
  await using server = await start({ limits });
  using honest = await RawClient.open(server.registryAddr);
  using hoarder = await RawClient.open(server.registryAddr);
  await hoarder.write(u32(1_000_000));
  const half = hoarder.write(new Uint8Array(500_000)).catch(() => {});
  await closed(hoarder);
  await half;
  await honest.ok({ type: "list_networks" });
});

Deno.test("the server closes while clients are connected and in mid-request", async () => {
  const server = await start();
  using client = await RawClient.open(server.registryAddr);
  await client.ok({ type: "list_networks" });
  await client.write(u32(500));
  await server.close();
  await server.close();
  await closed(client);
});
