/** What clients of the gateway do to each other and to agents: nothing. */

import assert from "node:assert/strict";
import { connect as connectNode } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd } from "../../protocol/ipc/mod.ts";
import { HONEST_WAIT_MS, waitsBehindResets } from "../platform/net/resets.ts";
import { Gateway } from "../../gateway/mod.ts";
import { FakeDaemon, type FakeStream, until } from "../sdk/fake_daemon.ts";
import { ALICE, BOB, echoEverybody, readText, withGateway } from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
/** Elsewhere 127.77.0.1 has to be set up first. */
const ignore = Deno.build.os !== "linux";

function gatewayTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

gatewayTest(
  "the gateway carries the next client behind a thousand resets, and among a hundred a second",
  () =>
    withGateway({}, async ({ map, client, gateway }) => {
      const where = map(ALICE);
      const echoing = echoEverybody(client);
      const waits = await waitsBehindResets(where, async () => {
        using tcp = await Deno.connect(where);
        await tcp.write(bytes("x"));
        assert.equal(await readText(tcp), "x");
      });
      assert.ok(
        waits.burst < HONEST_WAIT_MS && waits.storm < HONEST_WAIT_MS,
        JSON.stringify(waits),
      );
      await gateway.close();
      client.close();
      await echoing;
    }),
);

gatewayTest(
  "the gateway lets an agent know at once that a client has reset",
  () =>
    withGateway({}, async ({ map, client, errors }) => {
      const { hostname, port } = map(ALICE);
      const socket = connectNode(port, hostname);
      socket.on("error", () => {});
      const stream = await client.acceptDial(1);
      socket.write("hello");
      await stream.read(5);
      socket.resetAndDestroy();
      await stream.awaitClose();
      assert.deepEqual(errors, [], "a client that goes is no trouble of the gateway");
    }),
);

gatewayTest(
  "the gateway gives up a dial for a client that has reset meanwhile",
  () =>
    withGateway({}, async ({ map, client, errors }) => {
      const { hostname, port } = map(ALICE);
      const socket = connectNode(port, hostname);
      socket.on("error", () => {});
      await client.expect(Cmd.Dial);
      socket.resetAndDestroy();
      await client.expect(Cmd.CancelTag);
      assert.deepEqual(errors, []);
    }),
);

gatewayTest(
  "the gateway ends a stream soon when its client has ended after an answer",
  () =>
    withGateway({ answeredMs: 100 }, async ({ map, connect, errors }) => {
      const { tcp, stream } = await connect(map(ALICE));
      await tcp.write(bytes("question"));
      await stream.read(8);
      stream.write(bytes("answer"));
      assert.equal(await readText(tcp), "answer");
      tcp.close();
      await stream.awaitClose(); // with the default of an unanswered one: a minute
      assert.deepEqual(errors, []);
    }),
);

gatewayTest(
  "the gateway keeps a stream while a client that has ended waits for its answer",
  () =>
    withGateway({ answeredMs: 50 }, async ({ map, connect }) => {
      const { tcp, stream } = await connect(map(ALICE));
      await tcp.write(bytes("question"));
      await tcp.closeWrite();
      await stream.read(8);
      await sleep(300);
      stream.write(bytes("late answer"));
      stream.end();
      assert.equal(await readText(tcp), "late answer");
      assert.equal(await readText(tcp), "");
    }),
);

gatewayTest(
  "the gateway ends an unanswered stream after its time when its client has ended",
  () =>
    withGateway({ unansweredMs: 100 }, async ({ map, connect }) => {
      const { tcp, stream } = await connect(map(ALICE));
      await tcp.closeWrite();
      await stream.awaitClose();
      assert.equal(await readText(tcp), "");
    }),
);

gatewayTest(
  "the gateway delivers what an agent sent before it ended, and then the end",
  () =>
    withGateway({}, async ({ map, connect, gateway }) => {
      const { tcp, stream } = await connect(map(ALICE));
      stream.write(bytes("bye"));
      stream.end();
      assert.equal(await readText(tcp), "bye");
      assert.equal(await readText(tcp), "");
      await gateway.close();
    }),
);

gatewayTest(
  "the gateway tells why an agent's side failed, and ends the client's",
  () =>
    withGateway({}, async ({ map, connect, errors }) => {
      const { tcp, stream } = await connect(map(ALICE));
      stream.end(new PilotError("connection_failed", "the peer vanished"));
      assert.equal(await readText(tcp), "");
      await until("it is reported", () => errors.length > 0);
      assert.equal(errors[0]!.code, "connection_failed");
      assert.match(errors[0]!.message, /the peer vanished/);
    }),
);

gatewayTest(
  "the gateway tells once that an agent cannot be dialled, however often clients try",
  () =>
    withGateway({}, async ({ map, client, errors }) => {
      const where = map(ALICE);
      for (let i = 0; i < 5; i++) {
        using tcp = await Deno.connect(where);
        client.fail(await client.expect(Cmd.Dial), new PilotError("untrusted", "not trusted"));
        assert.equal(await readText(tcp), "");
      }
      assert.deepEqual(errors.map(({ code }) => code), ["untrusted"]);
    }),
);

gatewayTest(
  "the gateway ends a connection on which nothing moves for its time",
  () =>
    withGateway({ idleMs: 100 }, async ({ map, connect }) => {
      const { tcp, stream } = await connect(map(ALICE));
      await stream.awaitClose();
      assert.equal(await readText(tcp), "");
    }),
);

gatewayTest(
  "connections to one agent leave room for those to another",
  () =>
    withGateway({ connectionsPerMapping: 2 }, async ({ map, connect, errors }) => {
      const alice = map(ALICE);
      await connect(alice);
      await connect(alice);
      using refused = await Deno.connect(alice);
      assert.equal(await readText(refused), "");
      assert.equal(errors[0]?.code, "limit_exceeded");
      assert.match(errors[0]!.message, /limit of 0:0000\.0000\.0005 reached \(2\)/);
      await connect(map(BOB));
    }),
);

gatewayTest(
  "a connection that is silent for long makes room when there is none",
  () =>
    withGateway({ connections: 3, evictableMs: 0 }, async ({ map, connect, errors }) => {
      const where = map(ALICE);
      const first = await connect(where);
      const second = await connect(where);
      const third = await connect(where);
      await first.tcp.write(bytes("x"));
      await first.stream.read(1);
      await connect(map(BOB));
      await second.stream.awaitClose();
      assert.equal(await readText(second.tcp), "");
      assert.deepEqual([first.stream.closed, third.stream.closed], [false, false]);
      assert.deepEqual(errors, []);
    }),
);

gatewayTest(
  "clients that end after their answers leave the agent's places soon, the oldest first",
  () =>
    withGateway({ lingeringPerMapping: 2, answeredMs: 60_000 }, async ({ map, connect }) => {
      const where = map(ALICE);
      const streams: FakeStream[] = [];
      for (let i = 0; i < 4; i++) {
        const { tcp, stream } = await connect(where);
        stream.write(bytes("answer"));
        assert.equal(await readText(tcp), "answer");
        tcp.close();
        streams.push(stream);
      }
      // Nothing tells when the ends have arrived; each new connection looks.
      for (let i = 0; i < 200 && !(streams[0]!.closed && streams[1]!.closed); i++) {
        const { tcp } = await connect(where);
        tcp.close(); // before any answer: waits for one, and does not linger
        await sleep(5);
      }
      assert.deepEqual(streams.map(({ closed }) => closed), [true, true, false, false]);
    }),
);

Deno.test("default ports that need privileges are left out, and others are served", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const listen = ({ hostname, port }: { hostname: string; port: number }) => {
    if (port === 80 || port === 443) throw new Deno.errors.PermissionDenied();
    return Deno.listen({ hostname, port });
  };
  const options = { driver, subnet: "127.77.0.0/16", listen };
  await using asked = new Gateway({ ...options, ports: [0, 80] });
  assert.throws(() => asked.map(ALICE), (error: PilotError) => error.code === "denied");
  await using none = new Gateway({ ...options, ports: [80, 443], skipDenied: true });
  assert.throws(() => none.map(ALICE), (error: PilotError) => error.code === "denied");
  if (!ignore) {
    await using gateway = new Gateway({ ...options, ports: [80, 0, 443], skipDenied: true });
    const { localIp, ports, skipped } = gateway.map(ALICE);
    assert.deepEqual([ports.length, skipped], [1, [80, 443]]);
    const echoing = echoEverybody(client);
    using tcp = await Deno.connect({ hostname: localIp, port: ports[0]! });
    await tcp.write(bytes("x"));
    assert.equal(await readText(tcp), "x");
    await gateway.close();
    client.close();
    await echoing;
  }
});
