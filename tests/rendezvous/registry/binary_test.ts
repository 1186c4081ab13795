/** Binary mode, byte by byte (docs/protocol/registry.md §1.2, §1.4, §11). */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Identity } from "../../../protocol/crypto/identity.ts";
import { challenges } from "../support/challenges.ts";
import { RawClient, registered, TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

const PREAMBLE = "50494c5401";

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

async function binary(addr: string): Promise<RawClient> {
  const client = await RawClient.open(addr);
  await client.write(hex(PREAMBLE));
  return client;
}

/** Sends a frame given in hex, without its length, and returns the reply in hex, without its length. */
async function exchange(client: RawClient, frame: string): Promise<string> {
  const body = hex(frame);
  const out = new Uint8Array(4 + body.length);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, 4);
  await client.write(out);
  const reply = await client.readFrame();
  assert.ok(reply !== undefined, "the server closed the connection");
  return Buffer.from(reply).toString("hex");
}

/** An error frame without its length, in hex. */
function error(text: string): string {
  const bytes = Buffer.from(text);
  return `ff${bytes.length.toString(16).padStart(4, "0")}${bytes.toString("hex")}`;
}

function u32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

Deno.test("binary mode answers the published frames of §11", () =>
  withServer(async ({ server, client }) => {
    // The vectors speak of node 42 with the key of seed 00..1f.
    const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
    const key = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
    const publicKey = Buffer.from(key, "base64").toString("hex");
    const node = new TestNode(await Identity.fromSeed(seed));
    for (let id = 1; id < 42; id++) {
      const other = Buffer.alloc(32, id).toString("base64");
      await client.ok({ type: "register", public_key: other, listen_addr: "h:1" });
    }
    const registration = {
      type: "register",
      public_key: key,
      listen_addr: "1.2.3.4:4000",
      hostname: "alpha",
      lan_addrs: ["10.0.0.5:4000"],
      signature:
        "puPbqfy92cLVkXxLxncDApq9MNw3xth56eYVEcCTZUFpeZ5aY52wnRKlDd2/tCqIx4bo/D8JeGNVw6xCiHHpAw==",
    };
    assert.equal((await client.ok(registration))["node_id"], 42);
    node.id = 42;
    const sign = async (challenge: Uint8Array) => await node.sign(challenge);
    const set = { node_id: 42 };
    await client.ok({
      type: "set_tags",
      ...set,
      tags: ["ml", "gpu"],
      signature: await sign(challenges.setTags(42)),
    });
    await client.ok({
      type: "set_task_exec",
      ...set,
      enabled: true,
      signature: await sign(challenges.setTaskExec(42)),
    });
    await client.ok({
      type: "set_visibility",
      ...set,
      public: true,
      signature: await sign(challenges.setVisibility(42)),
    });
    using raw = await binary(server.registryAddr);
    const signature = Buffer.from(
      "fiCH007IoYeAyMX5ez10k8eNeqLTSxHjGPWeIqRXOilhgevKGAAUWw+cTDVIjGO694RHD6nPfil0vl95sr11Cw==",
      "base64",
    ).toString("hex");
    // 2026-01-01T00:00:00Z = 0x6955b900, no warning.
    assert.equal(await exchange(raw, `01 0000002a ${signature}`), "81000000006955b90000");
    assert.equal(await exchange(raw, `01 0000002a ${signature} 99`), "81000000006955b90000");
    const realAddr = Buffer.from("127.0.0.1:4000").toString("hex");
    assert.equal(
      await exchange(raw, "02 0000002a"),
      "82" + "0000002a" + "03" + "00000000" + "00010000" + `20${publicKey}` +
        "05616c706861" + "02026d6c03677075" + `000e${realAddr}` + "00",
    );
    assert.equal(
      await exchange(raw, "02 00000009"),
      "82" + "00000009" + "00" + "00000000" + "00010000" + `20${"09".repeat(32)}` +
        "00" + "00" + "0000" + "00",
    );
    const own = Buffer.from(await node.identity.sign(challenges.resolve(42, 42))).toString("hex");
    const lan = Buffer.from("10.0.0.5:4000").toString("hex");
    assert.equal(
      await exchange(raw, `03 0000002a 0000002a ${own}`),
      "83" + "0000002a" + `000e${realAddr}` + `0001000d${lan}` + "00000000" + `20${publicKey}`,
    );
  }));

Deno.test("binary mode says unfiltered why it refuses", () =>
  withServer(async ({ server, client }) => {
    const node = await registered(client);
    const other = await registered(client);
    using raw = await binary(server.registryAddr);
    const signed = async (by: TestNode, challenge: Uint8Array) =>
      Buffer.from(await by.identity.sign(challenge)).toString("hex");
    assert.equal(
      await exchange(raw, `02 ${u32(9)}`),
      "ff00116e6f646520393a206e6f7420666f756e64",
    );
    assert.equal(
      await exchange(raw, `01 ${u32(9)} ${"00".repeat(64)}`),
      error("node 9: not found"),
    );
    const forged = await signed(other, challenges.heartbeat(node.id));
    assert.equal(
      await exchange(raw, `01 ${u32(node.id)} ${forged}`),
      error("signature verification failed"),
    );
    const asked = await signed(other, challenges.resolve(other.id, node.id));
    assert.equal(
      await exchange(raw, `03 ${u32(node.id)} ${u32(other.id)} ${asked}`),
      error(`resolve denied: node ${node.id} is private`),
    );
    assert.equal(
      await exchange(raw, `03 ${u32(node.id)} ${u32(99)} ${asked}`),
      error("resolve denied: requester 99 is not registered"),
    );
    assert.equal(await exchange(raw, "42"), error("unknown message type 0x42"));
    for (const short of ["01", "02 0000", `01 ${u32(1)} ${"00".repeat(63)}`, "03"]) {
      assert.match(await exchange(raw, short), /^ff/);
    }
    assert.equal(await exchange(raw, "00 7b"), error("invalid JSON request"));
    assert.equal(await exchange(raw, "00 5b5d"), error("invalid JSON request"));
    const replication = Buffer.from('{"type":"subscribe_replication"}').toString("hex");
    assert.equal(
      await exchange(raw, `00 ${replication}`),
      error("replication not supported over binary protocol"),
    );
    // The connection has survived all of this.
    assert.match(await exchange(raw, `02 ${u32(node.id)}`), /^82/);
  }));

Deno.test("an unsupported wire version is named, then the connection ends", () =>
  withServer(async ({ server }) => {
    using raw = await RawClient.open(server.registryAddr);
    await raw.write(hex("50494c5402"));
    const reply = await raw.readFrame();
    assert.ok(reply !== undefined);
    assert.equal(Buffer.from(reply).toString("hex"), error("unsupported wire version 2"));
    assert.equal(await raw.read(1), undefined);
  }));

Deno.test("the mode is detected when the bytes come one by one", () =>
  withServer(async ({ server, client }) => {
    const node = await registered(client);
    using raw = await RawClient.open(server.registryAddr);
    for (const byte of hex(`${PREAMBLE} 00000005 02 ${u32(node.id)}`)) {
      await raw.write(Uint8Array.of(byte));
    }
    assert.equal((await raw.readFrame())?.[0], 0x82);
  }));
