/** Registration and identity over the wire (docs/protocol/registry.md §4.1). */

import assert from "node:assert/strict";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { challenges } from "../support/challenges.ts";
import { RawClient, registered, TestNode } from "../support/client.ts";
import { start, withDirectory, withServer } from "../support/server.ts";

Deno.test("register gives numbers in order and believes the TCP source with the named port", () =>
  withServer(async ({ client }) => {
    const node = await TestNode.create();
    const reply = await node.register(client, {
      listen_addr: "8.8.8.8:4000",
      hostname: "alpha",
      version: "v9",
      owner: "a@example.org",
    });
    assert.deepEqual(reply, {
      type: "register_ok",
      node_id: 1,
      network_id: 0,
      address: "0:0000.0000.0001",
      public_key: node.identity.publicKeyBase64,
      observed_addr: "127.0.0.1:4000",
      protocol_version: 1,
      hostname: "alpha",
    });
    assert.equal((await registered(client)).id, 2);
  }));

Deno.test("register uses the TCP source port when the listen address names none", () =>
  withServer(async ({ client }) => {
    for (const listenAddr of ["nonsense", "1.2.3.4", "1.2.3.4:99999", "[::]:0"]) {
      const node = await TestNode.create();
      const { observed_addr } = await node.register(client, { listen_addr: listenAddr });
      assert.match(String(observed_addr), /^127\.0\.0\.1:\d+$/);
    }
    const silent = await TestNode.create();
    assert.equal((await silent.register(client, { listen_addr: "" }))["observed_addr"], "");
  }));

Deno.test("register refuses what is no key and verifies a signature that is there", () =>
  withServer(async ({ client }) => {
    const node = await TestNode.create();
    const other = await TestNode.create();
    const good = await node.registration();
    assert.equal(await client.fails({ type: "register" }), "request failed");
    for (const key of ["x", "AAAA", encodeBase64(new Uint8Array(31)), "A".repeat(44)]) {
      assert.match(
        await client.fails({ type: "register", public_key: key }),
        /^invalid public key/,
      );
    }
    const wrongAddress = { ...good, listen_addr: "0.0.0.0:4001" };
    assert.equal(await client.fails(wrongAddress), "request failed");
    const stranger = await other.registration();
    assert.equal(
      await client.fails({ ...good, signature: stranger["signature"] }),
      "request failed",
    );
    assert.equal(
      await client.fails({ ...good, signature: "%" }),
      "invalid signature encoding: not base64",
    );
    assert.equal((await client.ok(good))["node_id"], 1);
  }));

Deno.test("register keeps the number of a key, however its text is written", () =>
  withServer(async ({ client }) => {
    const node = await TestNode.create();
    const key = node.identity.publicKeyBase64;
    const unsigned = { type: "register", listen_addr: "h:4000" };
    assert.equal((await client.ok({ ...unsigned, public_key: key }))["node_id"], 1);
    // The last digit of 32 bytes in base64 has two unused bits: four spellings of one key.
    const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const last = digits.indexOf(key[42]!);
    for (let unused = 1; unused < 4; unused++) {
      const spelling = key.slice(0, 42) + digits[(last & ~3) | unused] + "=";
      assert.equal((await client.ok({ ...unsigned, public_key: spelling }))["node_id"], 1);
    }
    const folded = `${key.slice(0, 20)}\r\n${key.slice(20)}`;
    assert.equal((await client.ok({ ...unsigned, public_key: folded }))["node_id"], 1);
  }));

Deno.test("register demands the signature of a key that signed once", () =>
  withServer(async ({ client }) => {
    const node = await TestNode.create();
    const key = node.identity.publicKeyBase64;
    await node.register(client, { hostname: "mine" });
    const hijack = { type: "register", public_key: key, listen_addr: "h:6666", hostname: "yours" };
    assert.equal(await client.fails(hijack), "signature required for authenticated node");
    const lookup = await client.ok({ type: "lookup", node_id: node.id });
    assert.equal(lookup["hostname"], "mine");
  }));

Deno.test("register without signature still serves old clients but renames no node", () =>
  withServer(async ({ client }) => {
    const node = await TestNode.create();
    const unsigned = {
      type: "register",
      public_key: node.identity.publicKeyBase64,
      listen_addr: "h:4000",
    };
    await client.ok({ ...unsigned, hostname: "first" });
    const again = await client.ok({ ...unsigned, listen_addr: "h:4001", hostname: "second" });
    assert.equal(again["node_id"], 1);
    assert.equal(again["observed_addr"], "127.0.0.1:4001");
    assert.equal(again["hostname"], "first");
  }));

Deno.test("register never gives a node to a client that names its owner", () =>
  withServer(async ({ client }) => {
    const node = await registered(client, { owner: "ann@example.org" });
    const thief = await registered(client, { owner: "ann@example.org" });
    assert.notEqual(thief.id, node.id);
    const lookup = await client.ok({ type: "lookup", node_id: node.id });
    assert.equal(lookup["public_key"], node.identity.publicKeyBase64);
  }));

Deno.test("register succeeds without a hostname that is bad or taken", () =>
  withServer(async ({ client }) => {
    await registered(client, { hostname: "taken" });
    const node = await TestNode.create();
    const taken = await node.register(client, { hostname: "taken" });
    assert.equal(taken["hostname_error"], 'hostname "taken" already in use');
    assert.equal(taken["hostname"], undefined);
    for (const bad of ["-x", "x-", "UPPER", "a.b", "localhost", "a".repeat(64)]) {
      const reply = await node.register(client, { hostname: bad });
      assert.match(String(reply["hostname_error"]), /^invalid hostname: /);
    }
    assert.equal((await node.register(client, { hostname: "free" }))["hostname"], "free");
  }));

Deno.test("two processes with one key learn of each other; connections and restarts of one are not", () =>
  withServer(async ({ server, client, clock }) => {
    const node = await registered(client);
    const signature = await node.sign(challenges.heartbeat(node.id));
    using second = await RawClient.open(server.registryAddr);
    const beat = async (instance: string | undefined, over = client) => {
      clock.advance(30_000);
      const run = instance === undefined ? {} : { instance: instance.repeat(16) };
      return (await over.ok({ type: "heartbeat", node_id: node.id, signature, ...run }))["clash"];
    };
    for (const connection of [client, second, client, second, client]) {
      assert.equal(await beat(undefined, connection), undefined); // existing daemons
    }
    for (const run of ["a", "a", "b", "b", "c"]) assert.equal(await beat(run), undefined);
    for (const run of ["d", "c", "d"]) assert.equal(await beat(run, second), undefined);
    const since = clock.unixNow() / 1000 - 30;
    const clash = { addr: "127.0.0.1", since };
    assert.deepEqual(await beat("c"), clash);
    const again = await node.register(client, { instance: "d".repeat(16) });
    assert.deepEqual(again["clash"], clash);
    clock.advance(300_000);
    await node.register(client, { instance: "d".repeat(16) });
    assert.equal(await beat("d"), undefined);
  }));

Deno.test("heartbeat returns the server's time", () =>
  withServer(async ({ client, clock }) => {
    const node = await registered(client);
    const signature = await node.sign(challenges.heartbeat(node.id));
    const reply = await client.ok({ type: "heartbeat", node_id: node.id, signature });
    assert.deepEqual(reply, { type: "heartbeat_ok", time: clock.unixNow() / 1000 });
  }));

Deno.test("rotate_key changes what the node must sign with, and its key is free afterwards", () =>
  withServer(async ({ client, clock }) => {
    const node = await registered(client);
    const other = await registered(client);
    const fresh = await TestNode.create();
    const rotate = async (newKey: string) => ({
      type: "rotate_key",
      node_id: node.id,
      new_public_key: newKey,
      signature: await node.sign(challenges.rotateKey(node.id)),
    });
    assert.match(await client.fails(await rotate("x")), /^invalid new_public_key/);
    assert.equal(
      await client.fails(await rotate(other.identity.publicKeyBase64)),
      "invalid new_public_key: already registered",
    );
    clock.advance(86_400_000 * 3);
    await node.register(client);
    assert.deepEqual(await client.ok(await rotate(fresh.identity.publicKeyBase64)), {
      type: "rotate_key_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      public_key: fresh.identity.publicKeyBase64,
    });
    assert.equal(await client.fails(await rotate(node.identity.publicKeyBase64)), "request failed");
    const beat = { type: "heartbeat", node_id: node.id };
    const challenge = challenges.heartbeat(node.id);
    assert.equal(
      await client.fails({ ...beat, signature: await node.sign(challenge) }),
      "request failed",
    );
    await client.ok({ ...beat, signature: await fresh.sign(challenge) });
    assert.deepEqual(await client.ok({ type: "get_key_info", node_id: node.id }), {
      type: "get_key_info_ok",
      node_id: node.id,
      created_at: "2026-01-01T00:00:00Z",
      rotate_count: 1,
      key_age_days: 0,
      rotated_at: "2026-01-04T00:00:00Z",
    });
    // Whoever registers the old key is a new node.
    assert.equal((await node.register(client))["node_id"], 3);
  }));

Deno.test("rotate_key of v1.18 signs the new key, and no other passes under that signature", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const [next, another] = [await TestNode.create(), await TestNode.create()];
    const newKey = next.identity.publicKeyBase64;
    const request = {
      type: "rotate_key",
      node_id: node.id,
      new_public_key: newKey,
      signature: await node.sign(challenges.rotateKeyTo(node.id, newKey)),
    };
    const swapped = { ...request, new_public_key: another.identity.publicKeyBase64 };
    assert.equal(await client.fails(swapped), "request failed");
    assert.equal((await client.ok(request))["public_key"], newKey);
  }));

Deno.test("deregister forgets all but number, key and trust", () =>
  withServer(async ({ client }) => {
    const node = await registered(client, { hostname: "gone", version: "v1" });
    await client.ok({
      type: "set_visibility",
      node_id: node.id,
      public: true,
      signature: await node.sign(challenges.setVisibility(node.id)),
    });
    const signature = await node.sign(challenges.deregister(node.id));
    await client.ok({ type: "deregister", node_id: node.id, signature });
    assert.equal(
      await client.fails({ type: "resolve_hostname", hostname: "gone" }),
      'hostname "gone" not found',
    );
    const heir = await registered(client, { hostname: "gone" });
    assert.equal((await client.ok({ type: "lookup", node_id: heir.id }))["hostname"], "gone");
    assert.equal((await node.register(client))["node_id"], node.id);
    const lookup = await client.ok({ type: "lookup", node_id: node.id });
    assert.equal(lookup["public"], false);
    assert.equal(lookup["hostname"], undefined);
    assert.equal(lookup["version"], undefined);
  }));

Deno.test("register of one key on many connections at once gives one number", () =>
  withServer(async ({ server }) => {
    const node = await TestNode.create();
    const request = await node.registration();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => {
      using client = await RawClient.open(server.registryAddr);
      return (await client.ok(request))["node_id"];
    }));
    assert.deepEqual(new Set(ids), new Set([1]));
  }));

Deno.test("no registration without its own signature gets at a key that proved itself", () =>
  withDirectory(async (store) => {
    const node = await TestNode.create();
    const other = await TestNode.create();
    const key = node.identity.publicKeyBase64;
    const attempts = async () => {
      const good = await node.registration({ listen_addr: "h:4000" });
      const { signature: _signature, ...unsigned } = good;
      const owner = { owner: "ann@example.org" };
      return [
        { ...unsigned, ...owner },
        { ...unsigned, signature: "", ...owner },
        { ...good, signature: await other.sign(challenges.register("h:4000", key)), ...owner },
        { ...good, signature: await node.sign(challenges.heartbeat(node.id)), ...owner },
        { ...good, listen_addr: "h:6666" },
        { ...unsigned, admin_token: "token of the tests" },
      ];
    };
    const refused = async (client: RawClient) => {
      for (const attempt of await attempts()) {
        assert.match(
          await client.fails(attempt),
          /^(request failed|signature required for authenticated node)$/,
        );
      }
    };
    {
      await using server = await start({ store, adminToken: "token of the tests" });
      using client = await RawClient.open(server.registryAddr);
      await node.register(client, { owner: "ann@example.org", listen_addr: "h:4000" });
      await refused(client);
      const signature = await node.sign(challenges.deregister(node.id));
      await client.ok({ type: "deregister", node_id: node.id, signature });
      await refused(client);
    }
    await using server = await start({ store, adminToken: "token of the tests" });
    using client = await RawClient.open(server.registryAddr);
    await refused(client);
    assert.equal((await node.register(client))["node_id"], 1);
    // With another key the owner's name gives a new node.
    assert.notEqual((await other.register(client, { owner: "ann@example.org" }))["node_id"], 1);
  }));

Deno.test("a key that proved itself registers unsigned only where the registry is not strict", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const unsigned = { type: "register", public_key: node.identity.publicKeyBase64 };
    assert.equal((await client.ok({ ...unsigned, listen_addr: "h:4001" }))["node_id"], node.id);
    // A signature that is there and wrong is refused all the same.
    assert.equal(
      await client.fails({ ...await node.registration(), listen_addr: "h:4002" }),
      "request failed",
    );
  }, { strict: false }));

Deno.test("a registration that was overheard can be sent again, which moves the endpoint but gives no say", () =>
  withServer(async ({ client, server }) => {
    const node = await TestNode.create();
    const overheard = await node.registration({ listen_addr: "h:4000", owner: "ann" });
    node.id = Number((await client.ok(overheard))["node_id"]);
    await client.ok(await node.registration({ listen_addr: "h:5000" }));
    using stranger = await RawClient.open(server.registryAddr);
    const reply = await stranger.ok({ ...overheard, owner: "eve" });
    assert.equal(reply["node_id"], node.id);
    assert.equal(reply["observed_addr"], "127.0.0.1:4000");
    // The node itself puts it right, and the key is still the only way to speak for it.
    assert.equal((await node.register(client, { listen_addr: "h:5000" }))["node_id"], node.id);
    const { signature } = overheard;
    assert.equal(
      await stranger.fails({ type: "heartbeat", node_id: node.id, signature }),
      "request failed",
    );
  }));
